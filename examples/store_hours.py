import msgspec

from vapimedia import Bridge, Call, CallInfo, CallOptions

HOURS = {"monday": "9 to 18", "sunday": "closed"}
bridge = Bridge()


class Question(msgspec.Struct):
    day: str


@bridge.on_call
async def choose_assistant(call: CallInfo) -> CallOptions:
    return CallOptions(assistant_id="your-assistant-id", metadata={"line": call.to})


@bridge.tool("store_hours")
async def store_hours(call: Call | None, args: Question) -> str:
    return HOURS.get(args.day.lower(), "open from 9 to 12")
