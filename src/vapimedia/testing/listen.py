"""The listenUrl of a fake call: both sides mixed to mono pcm_s16le/16000, on the caller's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from vapimedia.formats import AudioFormat

__all__ = ["LISTEN_FORMAT", "Listener"]

LISTEN_FORMAT = AudioFormat("pcm_s16le", 16000)


def _to_listen_format(fmt: AudioFormat) -> Callable[[bytes], bytes]:
    # Late: the compiled module is needed by those who listen only, and judges nothing here.
    from vapimedia.audio import Converter  # noqa: PLC0415

    return Converter(fmt, LISTEN_FORMAT).push


class Listener:
    """Mix what both sides send; ``chunks`` holds what is ready for the listener."""

    def __init__(self, fmt: AudioFormat) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._convert = {side: _to_listen_format(fmt) for side in ("customer", "assistant")}
        self._assistant = bytearray()

    def tap(self, side: str, chunk: bytes) -> None:
        """Take audio of one side."""
        pcm = self._convert[side](chunk)
        if side == "assistant":
            self._assistant += pcm
            return
        other = bytes(self._assistant[: len(pcm)]).ljust(len(pcm), b"\0")
        del self._assistant[: len(pcm)]
        total = np.frombuffer(pcm, "<i2").astype(np.int32) + np.frombuffer(other, "<i2")
        self.chunks.put_nowait(np.clip(total, -32768, 32767).astype("<i2").tobytes())
