"""Sound arithmetic of the fakes, in plain numpy.

The fakes judge the bridge, so nothing here is shared with ``vapimedia.audio``: G.711 comes from its own
tables, rates are changed by a whole-signal Fourier transform.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["SPEECH_RMS", "decode", "encode", "is_speech", "resample", "rms", "tone"]

Samples = npt.NDArray[np.int16]

# Above it a 20 ms frame counts as speech: about -38 dBFS, well over line noise, well under a quiet voice.
SPEECH_RMS = 400.0


def _mulaw_values() -> Samples:
    """Return the 256 values of mulaw codes (ITU-T G.711 table 2a, scaled to 16 bits)."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_values() -> Samples:
    """Return the 256 values of alaw codes (ITU-T G.711 table 1a, scaled to 16 bits)."""
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    step = (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, step + 8, step + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_VALUES: dict[str, Samples] = {"mulaw": _mulaw_values(), "alaw": _alaw_values()}


def decode(data: bytes | bytearray | memoryview, fmt: AudioFormat) -> Samples:
    """Return the samples in *data*; a split last sample is left out."""
    if fmt.encoding == "pcm_s16le":
        return np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16)
    decoded: Samples = _VALUES[fmt.encoding][np.frombuffer(data, np.uint8)]
    return decoded


def encode(samples: Samples, fmt: AudioFormat) -> bytes:
    """Return *samples* in the encoding of *fmt*: for G.711 the code whose value is nearest."""
    if fmt.encoding == "pcm_s16le":
        return samples.astype("<i2").tobytes()
    values = _VALUES[fmt.encoding].astype(np.int32)
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    borders = (ascending[:-1] + ascending[1:]) / 2
    codes = order[np.searchsorted(borders, samples)].astype(np.uint8)
    if fmt.encoding == "mulaw":
        codes[codes == 0x7F] = 0xFF  # both mean zero; silence on the wire is FF
    return codes.tobytes()


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Return the whole signal at another rate, without delay. Its ends should be silent (circular)."""
    if from_hz == to_hz or not len(samples):
        return samples
    n_out = -(-len(samples) * to_hz // from_hz)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    n_bins = n_out // 2 + 1
    fitted = np.zeros(n_bins, complex)
    shared = min(n_bins, len(spectrum))
    fitted[:shared] = spectrum[:shared]
    signal = np.fft.irfft(fitted, n_out) * (n_out / len(samples))
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


def rms(samples: Samples) -> float:
    """Return the root mean square of *samples*, 0.0 for none."""
    if not len(samples):
        return 0.0
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


def is_speech(frame: bytes | bytearray | memoryview, fmt: AudioFormat) -> bool:
    """Tell whether the energy of one frame is that of a voice."""
    return rms(decode(frame, fmt)) >= SPEECH_RMS


def tone(fmt: AudioFormat, ms: float, *, hz: float = 440.0, level: int = 6000) -> bytes:
    """Return *ms* of a sine with 5 ms ramps. Raises ``ConfigError`` above half the sample rate."""
    if hz * 2 >= fmt.sample_rate:
        raise ConfigError(f"a tone of {hz} Hz does not fit {fmt}")
    time_s = np.arange(round(fmt.sample_rate * ms / 1000)) / fmt.sample_rate
    ramp = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / 0.005)
    return encode(np.rint(level * ramp * np.sin(2 * np.pi * hz * time_s)).astype(np.int16), fmt)
