"""Everything that Vapi may ask of a bridge. Its server URL is https://HOST/vapi/webhook.

vapimedia serve --app front_office:bridge --assistant-id ... --public-url https://HOST
"""

from vapimedia import Bridge, Call
from vapimedia.protocols.vapi import (
    AssistantReply,
    AssistantRequest,
    CallEndpointingRequest,
    CampaignPredial,
    Document,
    EndpointingReply,
    HandoffDestinationRequest,
    HandoffReply,
    KnowledgeBaseReply,
    KnowledgeBaseRequest,
    NumberDestination,
    PhoneCallControl,
    PredialReply,
    TransferDestinationRequest,
    TransferReply,
)

FRONT_DESK = "+15005550001"
bridge = Bridge()


@bridge.on_assistant_request
async def choose_assistant(call: Call | None, request: AssistantRequest) -> AssistantReply:
    """Who calls a number that lives at Vapi? Answered within 6 s, whatever happens in here."""
    return AssistantReply(assistant_id="your-assistant-id")


@bridge.on_transfer
async def choose_destination(call: Call | None, request: TransferDestinationRequest) -> TransferReply:
    return TransferReply(destination=NumberDestination(number=FRONT_DESK, message="One moment please."))


@bridge.on_handoff
async def choose_colleague(call: Call | None, request: HandoffDestinationRequest) -> HandoffReply:
    return HandoffReply(destination={"type": "assistant", "assistantId": "your-other-assistant-id"})


@bridge.on_knowledge_base
def find_documents(call: Call | None, request: KnowledgeBaseRequest) -> KnowledgeBaseReply:
    """A plain function runs in a thread, so it may read a disk or ask a database."""
    return KnowledgeBaseReply(documents=[Document(content="The store is open from 9 to 18.", similarity=0.9)])


@bridge.on_endpointing
async def wait_for_the_caller(call: Call | None, request: CallEndpointingRequest) -> EndpointingReply:
    return EndpointingReply(timeout_seconds=0.7)


@bridge.on_predial
async def may_be_called(call: Call | None, request: CampaignPredial) -> PredialReply:
    return PredialReply(eligible=False)


@bridge.on_phone_call_control
async def watch_the_phone(call: Call | None, request: PhoneCallControl) -> bool | None:
    """None: the bridge forwards or hangs up. False: it leaves that to you."""
    return None
