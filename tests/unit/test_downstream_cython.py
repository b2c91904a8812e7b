"""Other people's Cython code compiles against the installed ``.pxd`` files and headers, and calls us in C."""

from __future__ import annotations

import base64
import importlib.util
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import hypothesis
import hypothesis.strategies as st
import pytest

import vapimedia
from vapimedia._build_info import get_include
from vapimedia.audio import Converter, FrameSlicer, Resampler, mulaw_decode
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, PlayoutPath

# A compiler runs for seconds.
pytestmark = pytest.mark.slow

MULAW, PCM_16K = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
SMALL = AudioFormat("mulaw", 1000)

SOURCE = """
# cython: language_level=3
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int64_t, uint8_t

from vapimedia.audio.converter cimport Converter
from vapimedia.audio.g711 cimport decode_mulaw
from vapimedia.audio.resampler cimport Resampler
from vapimedia.audio.slicer cimport FrameSlicer, vm_slicer_frames
from vapimedia.media.envelope cimport Envelope
from vapimedia.media.live cimport LivePath
from vapimedia.media.path cimport HOP_SEND, TAKEN, MediaPath
from vapimedia.media.playout cimport PlayoutPath


def decode(bytes mulaw):
    cdef int16_t[160] pcm
    decode_mulaw(pcm, <const uint8_t*><const char*>mulaw, 160)
    return (<char*>pcm)[:320]


def convert(Converter converter, bytes chunk):
    cdef uint8_t[4096] out
    assert converter.count_output(len(chunk)) <= 4096
    return (<char*>out)[:converter.push_bytes(out, <const uint8_t*><const char*>chunk, len(chunk))]


def resample(Resampler resampler, bytes pcm):
    cdef int16_t[4096] out
    assert resampler.count_output(len(pcm) // 2) <= 4096
    return (<char*>out)[:2 * resampler.push_samples(out, <const int16_t*><const char*>pcm, len(pcm) // 2)]


def cut(FrameSlicer slicer, bytes chunk):
    cdef uint8_t[4096] out
    return (<char*>out)[:slicer.push_bytes(out, <const uint8_t*><const char*>chunk, len(chunk))]


def view(FrameSlicer slicer, bytes chunk):
    cdef vm_slicer_frames frames
    cdef const char* start = chunk
    slicer.view_frames(&frames, <const uint8_t*>start, len(chunk))
    straddling = (<const char*>frames.straddling)[:slicer.frame_bytes] if frames.straddling != NULL else None
    first = <const char*>frames.whole - start
    return straddling, first, frames.n_whole


def pump(MediaPath path, bytes message, bint is_text, int64_t now_ns):
    cdef size_t n = 0
    cdef char* out
    messages = []
    if path.receive(message, len(message), is_text, now_ns) != TAKEN:
        return None
    out = path.next_message(&n, now_ns)
    while out != NULL:
        messages.append(out[:n])
        path.note(HOP_SEND, now_ns, now_ns)
        out = path.next_message(&n, now_ns)
    return messages, path.sends_text(), path.next_due()


def is_open(LivePath live, PlayoutPath playout, Envelope envelope):
    return bool(live._live.is_open), bool(playout._playout.is_open), bool(envelope.c.is_text)
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A user's module, built with nothing but Cython and the C compiler."""
    pytest.importorskip("Cython", reason="Cython is not installed")
    folder = tmp_path_factory.mktemp("downstream")
    pyx, c = folder / "downstream_user.pyx", folder / "downstream_user.c"
    library = folder / f"downstream_user{sysconfig.get_config_var('EXT_SUFFIX')}"
    pyx.write_text(SOURCE)
    above = Path(vapimedia.__file__).parents[1]  # what Cython would find on sys.path in a site-packages
    run([sys.executable, "-m", "cython", "-3", "-I", str(above), str(pyx), "-o", str(c)])
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    includes = ["-I" + get_include(), "-I" + sysconfig.get_path("include")]
    link = ["-shared"] if sys.platform != "darwin" else ["-bundle", "-undefined", "dynamic_lookup"]
    try:
        run([*compiler, "-O1", "-fPIC", *link, *includes, str(c), "-o", str(library)])
    except FileNotFoundError:
        pytest.skip(f"there is no C compiler: {compiler[0]}")
    spec = importlib.util.spec_from_file_location("downstream_user", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_kernels_are_called_on_raw_memory(user: ModuleType) -> None:
    mulaw = bytes(range(160))
    assert user.decode(mulaw) == mulaw_decode(mulaw)


def test_streaming_objects_are_called_on_raw_memory(user: ModuleType) -> None:
    mulaw = bytes(range(160))
    pcm = mulaw_decode(mulaw)
    assert user.convert(Converter(MULAW, PCM_16K), mulaw) == Converter(MULAW, PCM_16K).push(mulaw)
    assert user.resample(Resampler(8000, 16_000), pcm) == Resampler(8000, 16_000).push(pcm)
    assert user.cut(FrameSlicer(MULAW), mulaw * 2) == mulaw * 2


@hypothesis.given(st.lists(st.binary(max_size=70), max_size=12))
@hypothesis.settings(max_examples=100, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_frames_are_seen_where_they_lie(user: ModuleType, chunks: list[bytes]) -> None:
    viewing, slicer = FrameSlicer(SMALL), FrameSlicer(SMALL)
    for chunk in chunks:
        straddling, first, n_whole = user.view(viewing, chunk)
        seen = [] if straddling is None else [straddling]
        seen += [chunk[at : at + 20] for at in range(first, first + 20 * n_whole, 20)]
        assert seen == slicer.push(chunk)
        assert viewing.pending_bytes == slicer.pending_bytes
    assert viewing.flush() == slicer.flush()


def test_half_a_sample_from_python_is_completed_in_c(user: ModuleType) -> None:
    pcm = mulaw_decode(bytes(range(160)))
    split, whole = Resampler(8000, 16_000), Resampler(8000, 16_000)
    joined = split.push(pcm[:1]) + user.resample(split, pcm[1:161]) + split.push(pcm[161:])
    assert joined == whole.push(pcm)


def test_a_media_path_is_pumped_without_python(user: ModuleType) -> None:
    unwrap = Envelope(text=True, payload=("media", "payload"))
    live, playout = LivePath(MULAW, MULAW, unwrap=unwrap), PlayoutPath(MULAW, MULAW)
    live.open(0)
    message = b'{"media":{"payload":"%s"}}' % base64.b64encode(bytes(160))
    messages, is_text, due_ns = user.pump(live, message, True, 0)
    assert (len(messages[0]), is_text, due_ns) == (160, False, live.next_due_ns)
    assert user.pump(live, b'{"event":"stop"}', True, 0) is None
    assert user.is_open(live, playout, unwrap) == (True, False, True)
