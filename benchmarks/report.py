"""Measure everything and write the tables of ``README.md`` between its markers: ``python benchmarks/report.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

import delay
from instructions import instruction_table
from memory import memory_table
from readme import machine, markdown, write
from speed import avx2_table, measure_all, speed_table
from variants import variant_table

from vapimedia import audio

LIBRARIES = ["vapimedia", "numpy", "soxr", "samplerate", "av", "scipy", "audioop-lts"]


def sections(*, quick: bool) -> Iterator[tuple[str, str, Iterable[Sequence[str]]]]:
    """Yield title, how to read it, table. Nothing is measured before its section is asked for."""
    yield (
        "Delay",
        "Milliseconds of audio held back after a call, mean / worst, and how many of the first calls returned nothing.",
        delay.table(delay.all_held()),
    )
    measured = measure_all(n_rounds=30 if quick else 300)
    yield (
        "Speed from Python",
        f"Bytes in, bytes out, with `audio.simd` = {audio.simd!r}. Ratio: of the minima, of the medians in brackets.",
        speed_table(measured),
    )
    if with_avx2 := avx2_table(measured):
        yield (
            "AVX2 beside the same peers",
            "AVX2 forced, in the same rounds as the table above. Goals: three quarters of each ratio and rate, 1.35 of "
            "each time.",
            with_avx2,
        )
    yield (
        "Instruction sets",
        "Ours, forced by `VAPIMEDIA_SIMD`, in turns; the cheapest round.",
        variant_table(n_turns=3 if quick else 30),
    )
    yield (
        "Instructions",
        "Of one call from Python, the empty loop taken off.",
        instruction_table(with_peers=not quick),
    )
    yield (
        "Memory",
        "What a stream says of itself, and by how much the process grows for it; filters are shared and not counted. "
        "Goals for `balanced`: 2 KiB between 8 and 16 kHz, 10 KiB at 48 kHz.",
        memory_table(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, no peers' instructions: a look, not a record"
    )
    parser.add_argument(
        "--print", action="store_true", help="write to standard output and leave README.md alone"
    )
    options = parser.parse_args()

    parts = [machine(LIBRARIES) + (" A quick look.\n" if options.quick else "\n")]
    for title, reading, table in sections(quick=options.quick):
        print(f"{title}: measured", file=sys.stderr, flush=True)
        parts.append(f"### {title}\n\n{reading}\n\n{markdown(table)}")
    text = "\n" + "\n".join(parts) + "\n"
    if options.print:
        print(text)
        return
    write("report", text)


if __name__ == "__main__":
    main()
