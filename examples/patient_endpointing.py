"""Endpointing by punctuation: a sentence that is not finished gets more time. Give Vapi https://HOST/endpointing."""

import os

from aiohttp import web

from vapimedia import Conversation, CustomEndpointing


async def seconds_to_wait(conversation: Conversation) -> float:
    said = conversation.last_user_text.rstrip()
    if said.endswith((".", "!", "?")):
        return 0.2
    if said.lower().endswith((" and", " but", " um", ",")):
        return 2.0
    return 0.8


app = web.Application()
endpoint = CustomEndpointing(seconds_to_wait, secret=os.environ.get("VAPI_WEBHOOK_SECRET", ""), default_s=0.6)
endpoint.add_to(app, "/endpointing")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8090)  # behind a proxy with TLS
