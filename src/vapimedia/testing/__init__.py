"""Fakes and judges: what a bridge is tested against, with no account and no network.

They are built on aiohttp and numpy, and share no code with the bridge they judge::

    async with FakeVapi(assistant=default_script()) as vapi:
        ...  # start a bridge with vapi.url as its API
        call = await FakeTwilioCall(voice_url, auth_token=token, caller=default_caller()).run()
        compare_frames(expected, bytes(next(iter(vapi.calls.values())).uplink), 160, b"\\xff")
"""

from __future__ import annotations

try:
    import aiohttp as _aiohttp
except ImportError as error:
    raise ImportError(
        "vapimedia.testing needs aiohttp; install it with: pip install 'vapimedia[bridge]'"
    ) from error

from vapimedia.testing.caller import (
    CallerStep,
    Dtmf,
    HangUp,
    Interrupt,
    Say,
    Silence,
    WaitForAssistant,
    default_caller,
)
from vapimedia.testing.clips import CLIPS, Clip, clip_ms, load_clip
from vapimedia.testing.ear import BargeIn, Clear, Mark
from vapimedia.testing.fake_browser import FakeBrowserCall
from vapimedia.testing.fake_twilio import FakeTwilioCall
from vapimedia.testing.fake_twilio_api import FakeTwilioApi
from vapimedia.testing.fake_vapi import FakeVapi
from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.fake_vonage import FakeVonageCall, Outbound
from vapimedia.testing.fake_vonage_api import FakeVonageApi
from vapimedia.testing.fault import Fault, parse_fault
from vapimedia.testing.fault_connection import ProxiedConnection
from vapimedia.testing.fault_proxy import FaultProxy
from vapimedia.testing.faults import VapiFaults
from vapimedia.testing.forwarded import Forwarded
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.phone_faults import PhoneFaults
from vapimedia.testing.phone_line import Callee, long_dialogue
from vapimedia.testing.script import (
    Ask,
    AssistantScript,
    AssistantStep,
    CallTool,
    CallTools,
    Echo,
    EndCall,
    Pause,
    SendEvent,
    SendText,
    Speak,
    StreamBytes,
    Transfer,
    WaitForDtmf,
    WaitForSilence,
    default_script,
)
from vapimedia.testing.vapi_auth import BearerAuth, HmacAuth, SecretAuth
from vapimedia.testing.vapi_media import ask_voice, transcribe
from vapimedia.testing.vapi_messages import CLIENT_MESSAGES, SERVER_MESSAGES
from vapimedia.testing.vapi_parts import Utterance
from vapimedia.testing.vapi_requests import ask_endpointing, ask_knowledge_base
from vapimedia.testing.vapi_webhooks import Backoff, ToolCall, WebhookPost
from vapimedia.testing.verify import (
    Correlation,
    FrameReport,
    compare_frames,
    correlate,
    heard_share,
    speech_ratio,
)
from vapimedia.testing.vonage_wire import make_application_key
from vapimedia.testing.wav import read_wav, write_wav

del _aiohttp

__all__ = [
    "CLIENT_MESSAGES",
    "CLIPS",
    "SERVER_MESSAGES",
    "Ask",
    "AssistantScript",
    "AssistantStep",
    "Backoff",
    "BargeIn",
    "BearerAuth",
    "CallTool",
    "CallTools",
    "Callee",
    "CallerStep",
    "Clear",
    "Clip",
    "Correlation",
    "Dtmf",
    "Echo",
    "EndCall",
    "FakeBrowserCall",
    "FakeTwilioApi",
    "FakeTwilioCall",
    "FakeVapi",
    "FakeVapiCall",
    "FakeVonageApi",
    "FakeVonageCall",
    "Fault",
    "FaultProxy",
    "Forwarded",
    "FrameReport",
    "HangUp",
    "HmacAuth",
    "Interrupt",
    "Mark",
    "Outbound",
    "Pacing",
    "Pause",
    "PhoneFaults",
    "ProxiedConnection",
    "Say",
    "SecretAuth",
    "SendEvent",
    "SendText",
    "Silence",
    "Speak",
    "StreamBytes",
    "ToolCall",
    "Transfer",
    "Utterance",
    "VapiFaults",
    "WaitForAssistant",
    "WaitForDtmf",
    "WaitForSilence",
    "WebhookPost",
    "ask_endpointing",
    "ask_knowledge_base",
    "ask_voice",
    "clip_ms",
    "compare_frames",
    "correlate",
    "default_caller",
    "default_script",
    "heard_share",
    "load_clip",
    "long_dialogue",
    "make_application_key",
    "parse_fault",
    "read_wav",
    "speech_ratio",
    "transcribe",
    "write_wav",
]
