"""Delay and sound of the resampler against the promised table, for every pair of the common rates.

What 16 bits would hide is read from the filter itself: impulses of float32 at every phase give its response as it is
stored, rounding of the coefficients included. What 16 bits add is measured in tones, int16 in and out.
"""

import importlib.resources
import itertools
import math
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from vapimedia.audio import Resampler, mulaw_decode, mulaw_encode, resample

COMMON_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
COMMON_PAIRS = list(itertools.permutations(COMMON_RATES, 2))
TELEPHONY_RATES = {8000, 16000, 24000, 44100, 48000}  # the filters of the others are judged in the slow part
OTHER_PAIRS = [(192_000, 8000), (8000, 192_000), (16_000, 11_000)]
PRIMES = (7919, 8011)  # coefficients are interpolated


@dataclass(frozen=True)
class Promise:
    """Of one preset, for every pair. Frequencies are in units of fn, half the lower rate."""

    pass_edge: float
    stop_edge: float
    rejection_db: float  # of every image and alias from the stop edge on
    ripple_db: float  # up to the pass edge
    loss_db: float  # of SINAD, against an ideal resampler of the same int16 signal, up to LOSS_EDGE
    delay_periods: int  # of the lower rate


PROMISES = {
    "telephone": Promise(0.85, 1.15, 90, 0.01, 1.5, 19),
    "balanced": Promise(0.90, 1.10, 100, 0.001, 0.1, 32),
    "high": Promise(0.91, 1.00, 100, 0.001, 0.1, 71),
}
# Small ratios either way, more phases than one block, and the primes.
KINDS = [
    (8000, 16000),
    (16000, 8000),
    (24000, 16000),
    (48000, 8000),
    (44100, 16000),
    (16000, 44100),
    PRIMES,
]
LOSS_EDGE = 0.46
LOSS_SHARES = (0.131, 0.283, 0.457)
AMPLITUDE = 29_000

qualities = pytest.mark.parametrize("quality", list(PROMISES))
kinds = pytest.mark.parametrize(("from_hz", "to_hz"), KINDS)


def pairs_and_qualities(pairs: Iterable[tuple[int, int]]) -> list:
    return [
        pytest.param(*pair, quality, marks=() if TELEPHONY_RATES.issuperset(pair) else pytest.mark.slow)
        for pair in pairs
        for quality in PROMISES
    ]


common = pytest.mark.parametrize(("from_hz", "to_hz", "quality"), pairs_and_qualities(COMMON_PAIRS))
all_pairs = pytest.mark.parametrize(
    ("from_hz", "to_hz", "quality"), pairs_and_qualities(COMMON_PAIRS + OTHER_PAIRS)
)


# Filters depend on nothing but the ratio: one pair stands for all of its ratio.
Ratio = tuple[int, int]


def in_lowest_terms(from_hz: int, to_hz: int) -> tuple[int, int]:
    """Return up and down."""
    divisor = math.gcd(from_hz, to_hz)
    return to_hz // divisor, from_hz // divisor


PAIR_OF_RATIO = {in_lowest_terms(*pair): pair for pair in [*COMMON_PAIRS, *OTHER_PAIRS, PRIMES]}
each_ratio = pytest.mark.parametrize(
    ("from_hz", "to_hz", "quality"),
    [(*pair, quality) for pair in PAIR_OF_RATIO.values() for quality in PROMISES],
)


# --- the filter ---


def impulse_response(from_hz: int, to_hz: int, quality: str) -> np.ndarray:
    """Return the filter at the rate both rates divide, ``up * from_hz``; time 0 is in the middle, the sum is 1.

    Output k sees input n through the filter at k * down - n * up. One impulse shows every down-th value of it: as many
    impulses, each beyond the reach of the others and each in another place modulo down, show them all.
    """
    up, down = in_lowest_terms(from_hz, to_hz)
    reach = math.ceil(PROMISES[quality].delay_periods * max(1, down / up)) + 1
    spacing = 2 * reach + 1
    while math.gcd(spacing, down) > 1:
        spacing += 1
    given = np.zeros((down + 1) * spacing, np.float32)
    given[spacing // 2 :: spacing][:down] = 1
    got = resample(given, from_hz, to_hz, quality=quality)
    ticks = np.arange(len(got)) * down - spacing // 2 * up
    number = np.clip((ticks + spacing * up // 2) // (spacing * up), 0, down - 1)
    since = ticks - number * spacing * up
    near = np.abs(since) <= reach * up
    assert not got[~near].any()
    response = np.full(2 * reach * up + 1, np.nan)
    response[since[near] + reach * up] = got[near] / up
    return response


@dataclass(frozen=True)
class Sight:
    """What the response of one filter shows."""

    rejection_db: float
    ripple_db: float
    loss_db: float
    asymmetry: float


def look(from_hz: int, to_hz: int, quality: str, oversampling: int = 4) -> Sight:
    return look_at_ratio(in_lowest_terms(from_hz, to_hz), quality, oversampling)


@cache
def look_at_ratio(ratio: Ratio, quality: str, oversampling: int) -> Sight:
    promise = PROMISES[quality]
    up, down = ratio
    from_hz, to_hz = PAIR_OF_RATIO[ratio]
    response = impulse_response(from_hz, to_hz, quality)
    n_in = 1 << math.ceil(math.log2(oversampling * len(response) / up))
    n = up * n_in  # so that a frequency and its images lie on the same grid
    gain = np.abs(np.fft.rfft(response, n))
    fn_bins = n_in * min(1, up / down) / 2
    edges = 2 * np.pi / n * fn_bins * np.array([promise.pass_edge, promise.stop_edge])
    middle = np.arange(len(response)) - len(response) // 2
    at_pass_edge, at_stop_edge = (abs(response @ np.cos(edge * middle)) for edge in edges)  # between bins
    passed = np.append(gain[: int(promise.pass_edge * fn_bins) + 1], at_pass_edge)
    stopped = np.append(gain[math.ceil(promise.stop_edge * fn_bins) :], at_stop_edge)

    # Of a tone, and all of its images together, those that the new rate folds included.
    power = np.concatenate([gain, gain[(n - 1) // 2 : 0 : -1]]).reshape(up, n_in) ** 2
    tones = power[:, 1 : int(LOSS_EDGE * fn_bins) + 1]
    images = tones[1:].sum(axis=0) / tones[0]
    return Sight(
        rejection_db=-20 * math.log10(stopped.max()),
        ripple_db=20 * np.abs(np.log10(passed)).max(),
        loss_db=10 * np.log10(1 + AMPLITUDE**2 / 2 * images.max() / ideal_noise(up, down)),
        asymmetry=np.abs(response - response[::-1]).max() * up,
    )


def ideal_noise(up: int, down: int) -> float:
    """Return the power of noise that an ideal resampler leaves: of rounding before, in the band, and of rounding after.

    Going up, each up-th output is an input, which is not rounded again.
    """
    return (2 - 1 / up if up > down else 1 + up / down) / 12


@all_pairs
def test_images_and_aliases_are_rejected_from_the_stop_edge_on(from_hz, to_hz, quality):
    assert look(from_hz, to_hz, quality).rejection_db >= PROMISES[quality].rejection_db


@all_pairs
def test_ripple_stays_in_bounds_to_the_pass_edge(from_hz, to_hz, quality):
    assert look(from_hz, to_hz, quality).ripple_db <= PROMISES[quality].ripple_db


@common
def test_images_cost_no_more_sinad_than_promised_at_any_frequency(from_hz, to_hz, quality):
    assert look(from_hz, to_hz, quality).loss_db <= PROMISES[quality].loss_db


@all_pairs
def test_the_delay_is_the_promised_whole_number_of_samples_at_all_frequencies(from_hz, to_hz, quality):
    """The phase is linear: the response is symmetric about the output `latency_samples` later."""
    resampler = Resampler(from_hz, to_hz, quality=quality)
    exact = PROMISES[quality].delay_periods * to_hz / min(from_hz, to_hz)
    assert exact <= resampler.latency_samples < exact + 1
    assert resampler.latency_ms == 1000 * resampler.latency_samples / to_hz
    assert look(from_hz, to_hz, quality).asymmetry < 1e-6


# --- tones ---


@dataclass(frozen=True)
class Tone:
    """An int16 pattern that repeats after a whole number of outputs too, and what an ideal resampler makes of it."""

    given: np.ndarray  # one period of the pattern, and as much of it before and after as filters reach
    n_before: int  # outputs
    carrier: np.ndarray  # of the outputs
    ideal: np.ndarray

    def sinad_db(self, out: np.ndarray) -> float:
        tone = 2 * abs(out @ self.carrier / len(out)) ** 2
        return 10 * math.log10(tone / (np.mean(out**2) - tone))

    def loss_db(self, from_hz: int, to_hz: int, quality: str) -> float:
        out = resample(self.given, from_hz, to_hz, quality=quality)
        out = out[self.n_before : self.n_before + len(self.carrier)].astype(float)
        return self.sinad_db(self.ideal) - self.sinad_db(out)


def make_tone(from_hz: int, to_hz: int, share: float, n_least: int = 8192) -> Tone:
    """Make a tone of *share* of fn. The ideal keeps all that its samples have below fn, nothing else, and rounds."""
    up, down = in_lowest_terms(from_hz, to_hz)
    repeats = -(-n_least // min(up, down))
    n_in, n_out = down * repeats, up * repeats
    n_kept = (min(n_in, n_out) + 1) // 2
    n_margin = -(-math.ceil(72 * max(1, down / up)) // down)  # rounds of `down` inputs, `up` outputs
    n_cycles = int(share * n_kept)
    while math.gcd(n_cycles, n_in * n_out) > 1:  # the rounding of a short pattern would not be noise
        n_cycles += 1
    turn = 2 * np.pi / n_in * (np.arange(n_in) * n_cycles % n_in)
    pattern = np.rint(AMPLITUDE * np.sin(turn + 0.1)).astype(np.int16)
    spectrum = np.fft.rfft(pattern)[:n_kept]
    return Tone(
        given=np.take(pattern, np.arange(-n_margin * down, n_in + n_margin * down), mode="wrap"),
        n_before=n_margin * up,
        carrier=np.exp(-2j * np.pi / n_out * (np.arange(n_out) * n_cycles % n_out)),
        ideal=np.rint(np.fft.irfft(spectrum, n_out) * (n_out / n_in)),
    )


@cache
def losses_db(ratio: Ratio, quality: str) -> list[float]:
    pair = PAIR_OF_RATIO[ratio]
    return [tone.loss_db(*pair, quality) for tone in tones_of_ratio(ratio)]


@cache
def tones_of_ratio(ratio: Ratio) -> list[Tone]:
    return [make_tone(*PAIR_OF_RATIO[ratio], share) for share in LOSS_SHARES]


@common
def test_sinad_is_near_that_of_an_ideal_resampler_of_16_bits(from_hz, to_hz, quality):
    losses = losses_db(in_lowest_terms(from_hz, to_hz), quality)
    assert max(losses) <= PROMISES[quality].loss_db, losses


@pytest.mark.slow
@each_ratio
def test_sinad_holds_all_over_the_lower_half_of_the_band(from_hz, to_hz, quality):
    for share in np.linspace(0.05, LOSS_EDGE - 0.001, 24):
        tone = make_tone(from_hz, to_hz, share, 32_768)
        assert tone.loss_db(from_hz, to_hz, quality) <= PROMISES[quality].loss_db, share


@pytest.mark.slow
@each_ratio
def test_a_closer_look_at_the_response_finds_nothing_worse(from_hz, to_hz, quality):
    sight, promise = look(from_hz, to_hz, quality, 8), PROMISES[quality]
    assert sight.rejection_db >= promise.rejection_db
    assert sight.ripple_db <= promise.ripple_db


@qualities
@kinds
def test_16_bits_in_and_out_show_the_same_rejection(from_hz, to_hz, quality):
    """The whole chain, arithmetic included: images of a tone near fn, the alias of its mirror beyond fn.

    A second tone keeps the rounding busy: alone, an alias of less than half a step would be rounded away.
    """
    promise = PROMISES[quality]
    fn = min(from_hz, to_hz) / 2
    edge = min(0.95, 2 - promise.stop_edge) * 0.9993
    sent = [0.313_704_2 * fn, edge * fn, (2 - edge) * fn]
    is_up = to_hz > from_hz
    kept = sent[:2]
    n = math.ceil(32_768 * max(1, from_hz / to_hz))
    given = sum(
        10_000 * np.sin(2 * np.pi * hz / from_hz * np.arange(n) + 0.1) for hz in (kept if is_up else sent)
    )
    out = resample(np.rint(given).astype(np.int16), from_hz, to_hz, quality=quality)[1000:-1000].astype(float)
    turns = [np.exp(2j * np.pi * hz / to_hz * np.arange(len(out))) for hz in kept]
    basis = np.stack([part for turn in turns for part in (turn.real, turn.imag)], axis=1)
    out -= basis @ np.linalg.solve(basis.T @ basis, basis.T @ out)
    window = np.kaiser(len(out), 18)
    ghosts = [from_hz - kept[1], from_hz + kept[1], 2 * from_hz - kept[1]] if is_up else [sent[2]]
    for hz in ghosts:
        line = abs(out * window @ np.exp(2j * np.pi * hz / to_hz * np.arange(len(out)))) / (
            5000 * window.sum()
        )
        assert 20 * np.log10(line) <= -promise.rejection_db


# --- delay ---


@pytest.mark.parametrize(("quality", "limit_ms"), [("telephone", 2.4), ("balanced", 4.1), ("high", 8.9)])
@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000)])
def test_delay_meets_the_goals_for_telephone_rates(from_hz, to_hz, quality, limit_ms):
    assert Resampler(from_hz, to_hz, quality=quality).latency_ms <= limit_ms


@qualities
@kinds
def test_what_goes_in_comes_out_latency_samples_later(from_hz, to_hz, quality):
    """The phase of a tone, which sees a hundredth of a sample."""
    resampler = Resampler(from_hz, to_hz, quality=quality)
    frequency_hz = 0.31 * min(from_hz, to_hz) / 2
    given = 29_000 * np.sin(2 * np.pi * frequency_hz / from_hz * np.arange(8000) + 0.1)
    out = np.frombuffer(resampler.push(given.astype("<i2")), "<i2").astype(float)
    k = np.arange(len(out))[3 * resampler.latency_samples :]
    delayed = np.exp(-1j * (2 * np.pi * frequency_hz / to_hz * (k - resampler.latency_samples) + 0.1))
    phase = np.angle((out[k] * delayed * np.kaiser(len(k), 12)).sum() * 1j)
    assert abs(phase / (2 * np.pi * frequency_hz / to_hz)) < 0.01


@qualities
@pytest.mark.parametrize("factor", [2, 3, 6])
def test_an_impulse_peaks_latency_samples_later(quality, factor):
    impulse = np.zeros(400, np.int16)
    impulse[100] = 20_000
    resampler = Resampler(8000, 8000 * factor, quality=quality)
    out = np.frombuffer(resampler.push(impulse), "<i2")
    assert int(out.argmax()) == 100 * factor + resampler.latency_samples


# --- speech ---

Resample = Callable[[np.ndarray, int, int], np.ndarray]
# PESQ of SoX 14.4.2 on these chains, where it is not installed.
SOX_NARROW, SOX_WIDE = 4.548, 3.43
SPOKEN = ["greeting", "ask_monday", "sunday_hours", "goodbye"]
PESQ_STEP = 0.001  # what rounding another way changes


def load_speech(name: str) -> np.ndarray:
    """Without `vapimedia.testing`, which needs more than the audio layer does."""
    wav = (importlib.resources.files("vapimedia") / "testing" / "clips" / f"{name}.wav").read_bytes()
    return np.frombuffer(mulaw_decode(wav[wav.index(b"data") + 8 :]), np.int16)


def sox(signal: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-c", "1"]
    command = ["sox", "-D", *raw, "-r", str(from_hz), "-", *raw, "-r", str(to_hz), "-"]
    done = subprocess.run(command, input=signal.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int16)


def narrow_chain(speech: np.ndarray, resample_with: Resample) -> tuple[int, np.ndarray, str]:
    return 8000, resample_with(resample_with(speech, 8000, 16000), 16000, 8000), "nb"


def wide_chain(speech: np.ndarray, resample_with: Resample) -> tuple[int, np.ndarray, str]:
    coded = mulaw_encode(resample_with(speech, 16000, 8000))
    return 16000, resample_with(np.frombuffer(mulaw_decode(coded), np.int16), 8000, 16000), "wb"


@pytest.mark.parametrize(("chain", "of_sox"), [(narrow_chain, SOX_NARROW), (wide_chain, SOX_WIDE)])
def test_speech_sounds_no_worse_than_through_sox(chain, of_sox):
    """Taken as 16 kHz, the clips of 8 kHz are a voice of twice the pitch, which fills the wide band."""
    pesq = pytest.importorskip("pesq", reason="speech is judged by pesq, which is not installed").pesq
    clips = [load_speech(name) for name in SPOKEN]

    def judge(resample_with: Resample) -> float:
        figures = []
        for clip in clips:
            rate_hz, heard, band = chain(clip, resample_with)
            figures.append(pesq(rate_hz, clip, heard[: len(clip)], band))
        return float(np.mean(figures))

    if shutil.which("sox"):
        of_sox = judge(sox)
    for quality in PROMISES:
        assert judge(lambda *args, quality=quality: resample(*args, quality=quality)) >= of_sox - PESQ_STEP, (
            quality
        )
