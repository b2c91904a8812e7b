"""The media layer of voice-AI bridges: phone-call audio to and from Vapi.

Four levels, each usable without the ones above it: ``vapimedia.audio`` (kernels), ``vapimedia.media`` and
``vapimedia.session`` (one call, sans-I/O), ``Bridge`` (sockets), and the command line. What needs the
``bridge`` extra is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vapimedia._version import __version__
from vapimedia.errors import (
    CallOver,
    ConcurrencyBlocked,
    ConfigError,
    ProtocolError,
    ProviderError,
    StateError,
    VapiError,
    VapimediaError,
)
from vapimedia.formats import AudioFormat
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from vapimedia._build_info import get_include, get_library_dir
    from vapimedia.io.bridge import Bridge
    from vapimedia.io.config import BridgeConfig
    from vapimedia.io.config_sources import load_config
    from vapimedia.io.endpoints import (
        Conversation,
        CustomEndpointing,
        CustomKnowledgeBase,
        CustomTranscriber,
        CustomVoice,
        TranscriberStream,
    )
    from vapimedia.io.hooks import Call, CallInfo, CallOptions, Reject
    from vapimedia.io.listen import AudioChunk, ListenEnded, Listening, ListenStarted, Reconnected
    from vapimedia.io.live_control import LiveControl
    from vapimedia.io.vapi_client import VapiClient
    from vapimedia.io.wav_file import WavFile
    from vapimedia.protocols.vapi import CallRecord, CreateCall, CreatedCall, CreatePhoneCall, Customer

__all__ = [
    "AudioChunk",
    "AudioFormat",
    "Bridge",
    "BridgeConfig",
    "Call",
    "CallInfo",
    "CallOptions",
    "CallOver",
    "CallRecord",
    "ConcurrencyBlocked",
    "ConfigError",
    "Conversation",
    "CreateCall",
    "CreatePhoneCall",
    "CreatedCall",
    "CustomEndpointing",
    "CustomKnowledgeBase",
    "CustomTranscriber",
    "CustomVoice",
    "Customer",
    "ListenEnded",
    "ListenStarted",
    "Listening",
    "LiveControl",
    "ProtocolError",
    "ProviderError",
    "Reconnected",
    "Reject",
    "Secret",
    "StateError",
    "TranscriberStream",
    "VapiClient",
    "VapiError",
    "VapimediaError",
    "WavFile",
    "__version__",
    "get_include",
    "get_library_dir",
    "load_config",
]

_LAZY = {
    "Bridge": "vapimedia.io.bridge",
    "BridgeConfig": "vapimedia.io.config",
    "load_config": "vapimedia.io.config_sources",
    "Conversation": "vapimedia.io.endpoints",
    "CustomEndpointing": "vapimedia.io.endpoints",
    "CustomKnowledgeBase": "vapimedia.io.endpoints",
    "CustomTranscriber": "vapimedia.io.endpoints",
    "CustomVoice": "vapimedia.io.endpoints",
    "TranscriberStream": "vapimedia.io.endpoints",
    "Call": "vapimedia.io.hooks",
    "CallInfo": "vapimedia.io.hooks",
    "CallOptions": "vapimedia.io.hooks",
    "Reject": "vapimedia.io.hooks",
    "AudioChunk": "vapimedia.io.listen",
    "ListenEnded": "vapimedia.io.listen",
    "ListenStarted": "vapimedia.io.listen",
    "Listening": "vapimedia.io.listen",
    "Reconnected": "vapimedia.io.listen",
    "LiveControl": "vapimedia.io.live_control",
    "VapiClient": "vapimedia.io.vapi_client",
    "WavFile": "vapimedia.io.wav_file",
    "CallRecord": "vapimedia.protocols.vapi",
    "CreateCall": "vapimedia.protocols.vapi",
    "CreatePhoneCall": "vapimedia.protocols.vapi",
    "CreatedCall": "vapimedia.protocols.vapi",
    "Customer": "vapimedia.protocols.vapi",
    "get_include": "vapimedia._build_info",
    "get_library_dir": "vapimedia._build_info",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'vapimedia' has no attribute {name!r}")
    import importlib  # noqa: PLC0415  only when something heavy is asked for

    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"vapimedia.{name} needs {error.name}; install it with: pip install 'vapimedia[bridge]'"
        ) from error


def __dir__() -> list[str]:
    return __all__
