from vapimedia.audio.stream import Stream
from vapimedia.formats import AudioFormat, Quality

__all__ = ["Converter"]

class Converter(Stream):
    source: AudioFormat
    target: AudioFormat
    quality: Quality
    def __init__(
        self, source: AudioFormat, target: AudioFormat, *, quality: Quality = "balanced"
    ) -> None: ...
    @property
    def latency_ms(self) -> float: ...
