"""A knowledge base by shared words. Give Vapi the server URL https://HOST/documents."""

import os
import re

from aiohttp import web

from vapimedia import Conversation, CustomKnowledgeBase
from vapimedia.protocols.vapi import Document

FACTS = {
    "hours": "The store is open from 9 to 18 on weekdays.",
    "parking": "Parking is free behind the store.",
}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


async def find(conversation: Conversation) -> list[Document]:
    asked = words(conversation.last_user_text)
    found = []
    for uuid, fact in FACTS.items():
        shared = len(asked & words(fact)) / max(1, len(asked))
        if shared > 0.2:
            found.append(Document(content=fact, similarity=shared, uuid=uuid))
    return sorted(found, key=lambda document: document.similarity, reverse=True)


app = web.Application()
endpoint = CustomKnowledgeBase(find, secret=os.environ.get("VAPI_WEBHOOK_SECRET", ""))
endpoint.add_to(app, "/documents")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8090)  # behind a proxy with TLS
