"""Other people's C programs compile against the installed headers and static library, and hear what Python hears."""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path

import pytest

from vapimedia import get_include, get_library_dir
from vapimedia.audio import Converter, FrameSlicer, Resampler, mulaw_decode, simd
from vapimedia.formats import AudioFormat

MULAW, PCM_16K = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)

SOURCE = r"""
#include <stdio.h>

#include "convert.h"
#include "dispatch.h"
#include "g711.h"
#include "slicer.h"

enum { N_CHUNK = 70, N_CHUNKS = 30, N_FRAME = 640 };

/* Adler-32 (RFC 1950). */
static unsigned long a = 1, b = 0;
static void add(const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        a = (a + ((const uint8_t *)from)[i]) % 65521;
        b = (b + a) % 65521;
    }
}

static void show(const char *name) {
    printf("%s %lu\n", name, b << 16 | a);
    a = 1, b = 0;
}

int main(int argc, char **argv) {
    uint8_t mulaw[N_CHUNK * N_CHUNKS], bytes[4096], room[2 * N_FRAME];
    int16_t pcm[N_CHUNK], resampled[3 * N_CHUNK];
    if (vm_dispatch_init(argc > 1 ? argv[1] : NULL) != 0) return 1;
    for (unsigned i = 0; i < sizeof mulaw; i++)
        mulaw[i] = (uint8_t)(i * 37 + i / 256);

    vm_fir *fir = vm_fir_new(8000, 16000, VM_FIR_BALANCED);
    if (fir == NULL) return 1;
    vm_slicer slicer;
    vm_slicer_init(&slicer, room, N_FRAME);
    for (size_t i = 0; i < N_CHUNKS; i++) {
        vm_slicer_frames frames;
        vm_g711_mulaw_decode(pcm, mulaw + i * N_CHUNK, N_CHUNK);
        size_t n = vm_fir_push(fir, resampled, pcm, N_CHUNK);
        vm_slicer_views(&slicer, &frames, (const uint8_t *)resampled, 2 * n);
        if (frames.straddling != NULL) add(frames.straddling, N_FRAME);
        add(frames.whole, frames.n_whole * N_FRAME);
    }
    vm_fir_free(fir);
    show("frames");

    vm_converter *converter = vm_converter_new(VM_MULAW, 8000, VM_PCM_S16LE, 16000, VM_FIR_HIGH);
    if (converter == NULL || vm_converter_max_output(converter, N_CHUNK) > sizeof bytes) return 1;
    for (size_t i = 0; i < N_CHUNKS; i++)
        add(bytes, vm_converter_push(converter, bytes, mulaw + i * N_CHUNK, N_CHUNK));
    add(bytes, vm_converter_flush(converter, bytes));
    vm_converter_free(converter);
    show("converted");
    return 0;
}
"""


def build(source: str, folder: Path) -> Path:
    file, program = folder / "user.c", folder / "user"
    file.write_text(source)
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    libraries = [f"-L{get_library_dir()}", "-lvm_kernels", "-lm"]
    command = [*compiler, "-O1", *warnings, f"-I{get_include()}", str(file), "-o", str(program), *libraries]
    try:
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"there is no C compiler: {compiler[0]}")
    assert built.returncode == 0, built.stderr
    return program


def test_the_program_in_the_kernels_page_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "audio.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```c\n(.*?)```", page, re.S)
    subprocess.run([str(build(source, tmp_path))], check=True)


def test_what_cannot_be_made_is_null(tmp_path: Path) -> None:
    """In C there is nobody to raise an error."""
    made = ("0, 16000, 1", "8000, 999, 1", "192001, 8000, 1", "8000, 16000, 3", "8000, 8000, 99")
    checks = " || ".join(f"vm_fir_new({arguments}) != NULL" for arguments in made)
    source = f'#include <stddef.h>\n#include "fir.h"\nint main(void) {{ return {checks}; }}\n'
    subprocess.run([str(build(source, tmp_path))], check=True)


def test_a_c_program_gives_the_bytes_of_python(tmp_path: Path) -> None:
    program = build(SOURCE, tmp_path)
    said = subprocess.run([str(program), simd], capture_output=True, text=True, check=True).stdout

    mulaw = bytes((i * 37 + i // 256) % 256 for i in range(2100))
    slicer, converter = FrameSlicer(PCM_16K), Converter(MULAW, PCM_16K, quality="high")
    frames = slicer.push(Resampler(8000, 16_000).push(mulaw_decode(mulaw)))
    converted = converter.push(mulaw) + converter.flush()
    assert said.split() == [
        *("frames", str(zlib.adler32(b"".join(frames)))),
        *("converted", str(zlib.adler32(converted))),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="nm is asked as binutils has it")
def test_the_library_adds_no_names_but_ours(tmp_path: Path) -> None:
    (library,) = Path(get_library_dir()).glob("*vm_kernels*")
    try:
        told = subprocess.run(
            ["nm", "--extern-only", "--defined-only", str(library)],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no nm")
    names = [line.split()[-1] for line in told.stdout.splitlines() if len(line.split()) == 3]
    assert names, platform.machine()
    assert [name for name in names if not name.startswith("vm_")] == []
