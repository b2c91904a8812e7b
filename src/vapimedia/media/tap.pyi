from vapimedia.formats import AudioFormat

class Tap:
    """What one direction of a call sounds like, from the path that it is set to (``path.tap``) to ``read_stereo``.

    One thread carries the call, another may read: neither waits for the other, and nothing is raised. At most *max_ms*
    wait to be read; what is more is silence in the recording, and counted in ``dropped_ms``. ``is_live``: audio stands
    where its sender's clock has it (caller to Vapi), else where it begins to be heard (Vapi to caller).
    """

    def __init__(self, fmt: AudioFormat, *, is_live: bool, max_ms: int = 10_000) -> None: ...
    @property
    def fmt(self) -> AudioFormat: ...
    def push(self, audio: bytes, at_ns: int, *, begins: bool = False) -> None:
        """Add audio: of a live leg when it arrived, else when its first sample is heard.

        *begins*: nothing stands before it; else it goes on where the last ended, unless that is far off.
        """
    def cut(self, at_ns: int) -> None:
        """What stands at *at_ns* and later will not be heard."""
    def begin(self, origin_ns: int) -> None:
        """The recording begins at *origin_ns*. Before anything is read."""
    @property
    def dropped_ms(self) -> float:
        """What did not fit."""

def read_stereo(left: Tap, right: Tap, until_ns: int) -> bytes:
    """Return the next pcm_s16le of both legs side by side, up to *until_ns*, a quarter of a second at most.

    What comes for a time that was read already stands later; what ``cut`` comes for after that is heard.
    """
