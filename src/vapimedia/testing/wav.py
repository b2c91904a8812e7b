"""WAV files in the package's formats: PCM, mulaw and alaw, mono (RIFF; format tags 1, 7 and 6, also extensible)."""

from __future__ import annotations

import shlex
import struct
from os import PathLike
from pathlib import Path
from typing import Final

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Encoding

__all__ = ["read_wav", "write_wav"]

_TAGS: Final[dict[int, Encoding]] = {1: "pcm_s16le", 6: "alaw", 7: "mulaw"}
_NAMES: Final = {1: "PCM", 3: "float", 6: "alaw", 7: "mulaw"}
# In an extensible header (WAVEFORMATEXTENSIBLE) the tag stands at the front of a GUID that ends like this.
_EXTENSIBLE: Final = 0xFFFE
_GUID_AT: Final = 24
_GUID_END: Final = bytes.fromhex("000000001000800000aa00389b71")


def read_wav(path: str | PathLike[str]) -> tuple[AudioFormat, bytes]:
    """Return the format and the samples' bytes of a mono WAV file. Raises ``ConfigError`` for others."""
    name = Path(path).name
    raw = Path(path).read_bytes()
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise ConfigError(f"{name} is not a WAV file")
    fmt: AudioFormat | None = None
    at = 12
    while at + 8 <= len(raw):
        kind, n_bytes = struct.unpack_from("<4sI", raw, at)
        body = raw[at + 8 : at + 8 + n_bytes]
        if kind == b"fmt " and len(body) >= 16:
            fmt = _format(name, body)
        elif kind == b"data":
            if fmt is None:
                raise ConfigError(f"{name} has its data before its format; save it again as a plain WAV file")
            return fmt, body
        at += 8 + n_bytes + (n_bytes & 1)  # chunks are padded to an even size
    raise ConfigError(f"{name} holds no audio data")


def _format(name: str, body: bytes) -> AudioFormat:
    tag, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and body[_GUID_AT + 2 : _GUID_AT + 16] == _GUID_END:
        (tag,) = struct.unpack_from("<H", body, _GUID_AT)
    encoding = _TAGS.get(tag)
    if encoding is None or channels != 1 or bits != (16 if tag == 1 else 8):
        what = f"{bits}-bit {_NAMES.get(tag, f'audio of format tag {tag}')}"
        raise ConfigError(
            f"{name} is {what} with {channels} channel{'s' * (channels != 1)}; make it mono 16-bit PCM: "
            f"sox {shlex.quote(name)} -e signed-integer -b 16 -c 1 out.wav"
        )
    return AudioFormat(encoding, sample_rate)


def write_wav(path: str | PathLike[str], fmt: AudioFormat, data: bytes | bytearray | memoryview) -> None:
    """Write mono *data* as a WAV file; a split last sample is left out."""
    tag = next(tag for tag, encoding in _TAGS.items() if encoding == fmt.encoding)
    width = fmt.bytes_per_sample
    whole = bytes(data[: len(data) // width * width])
    head = struct.pack("<HHIIHH", tag, 1, fmt.sample_rate, fmt.sample_rate * width, width, 8 * width)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(whole)) + whole
    if len(whole) & 1:
        chunks += b"\0"
    Path(path).write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
