"""What dialects and sessions hand around: no audio, text or document shows, and no odd value raises."""

from __future__ import annotations

import pytest

from vapimedia.formats import AudioFormat
from vapimedia.protocols import Document, LegFormat, SendBinary, SendText
from vapimedia.session import Actions

SECRET = b"the caller's card number"


def test_commands_and_documents_show_their_sizes_only() -> None:
    texts = [
        repr(SendText(SECRET)),
        repr(SendBinary(SECRET)),
        repr(Document("text/xml", SECRET)),
        repr(Actions([SendText(SECRET)], [SendBinary(SECRET)])),
    ]
    assert texts[:3] == ["SendText(24 bytes)", "SendBinary(24 bytes)", "Document('text/xml', 24 bytes)"]
    assert not any("card" in text for text in texts)


@pytest.mark.parametrize("sample_rate", [-1, 0, 1, 11, 7999, 10**9])
@pytest.mark.parametrize("codec", ["mulaw", "alaw", "pcm_s16le", "opus"])
def test_a_rate_from_the_wire_is_a_format_or_none_but_never_raises(codec: str, sample_rate: int) -> None:
    fmt = LegFormat(codec, sample_rate).audio_format
    assert fmt is None or (fmt.encoding, fmt.sample_rate) == (codec, sample_rate)


def test_what_the_kernels_read_has_a_format() -> None:
    assert LegFormat("pcm_s16le", 16_000).audio_format == AudioFormat("pcm_s16le", 16_000)
    assert LegFormat("mulaw", 8000, channels=2).audio_format is None
    assert LegFormat("pcm_s16le", 16_000, byte_order="big").audio_format is None
