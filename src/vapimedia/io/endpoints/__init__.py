"""What Vapi can be told to ask instead of its own services, each a small class with one aiohttp handler.

None needs a bridge, nor the others.
"""

from vapimedia.io.endpoints.stream import StereoFrame, TranscriberStream
from vapimedia.io.endpoints.transcriber import CustomTranscriber
from vapimedia.io.endpoints.voice import CustomVoice

__all__ = ["CustomTranscriber", "CustomVoice", "StereoFrame", "TranscriberStream"]
