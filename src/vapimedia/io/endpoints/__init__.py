"""What Vapi can be told to ask instead of its own services, each a small class with one aiohttp handler.

None needs a bridge, nor the others.
"""

from vapimedia.io.endpoints.conversation import Conversation, Said
from vapimedia.io.endpoints.endpointing import CustomEndpointing
from vapimedia.io.endpoints.knowledge_base import CustomKnowledgeBase
from vapimedia.io.endpoints.stream import StereoFrame, TranscriberStream
from vapimedia.io.endpoints.transcriber import CustomTranscriber
from vapimedia.io.endpoints.voice import CustomVoice

__all__ = [
    "Conversation",
    "CustomEndpointing",
    "CustomKnowledgeBase",
    "CustomTranscriber",
    "CustomVoice",
    "Said",
    "StereoFrame",
    "TranscriberStream",
]
