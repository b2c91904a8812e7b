"""Compare bridges, interleaved, and write the tables of ``benchmarks/README.md``: ``python benchmarks/bridges/run.py``.

Every round runs each candidate once in each scenario, in an order that is rotated. Ends with exit code 1 if ours
lost, doubled, changed or crossed a frame, or gave no answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# This folder is ``bridges`` to its own modules, and its parent holds what the other benchmarks share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bridges.candidates import CANDIDATES, OURS, C, runnable
from bridges.generator import pinning
from bridges.rounds import Plan, Results, Scenario, run_rounds
from bridges.tables import damage_of_ours, sections
from readme import machine, markdown, write

LIBRARIES = [
    "vapimedia",
    "picows",
    "uvloop",
    "aiohttp",
    "websockets",
    "fastapi",
    "uvicorn",
    "soxr",
    "audioop-lts",
]
N_BESIDE = 100  # calls of the scenarios with a stalled peer and with barge-in
MAX_ROUNDS = 3  # of the search for the most calls


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--calls", type=int, action="append", help="calls at once; may be repeated (50 and 200)"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--seconds", type=float, default=8, help="of one run, its beginning and end not counted"
    )
    parser.add_argument("--closed-loop", action="store_true", help="and as fast as frames come back")
    parser.add_argument("--memory", action="store_true", help="and what an idle call holds")
    parser.add_argument(
        "--ours", action="store_true", help="and ours beside a stalled peer, and with barge-in"
    )
    parser.add_argument("--max", action="store_true", help="and the most calls, by trying; takes minutes")
    parser.add_argument("--all", action="store_true", help="all four of the above")
    names = ", ".join(candidate.name for candidate in CANDIDATES)
    parser.add_argument("--only", default="", help=f"comma-separated names: {names}")
    parser.add_argument(
        "--print", action="store_true", help="leave README.md alone, write to standard output"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="keep every answer as JSON, after every round"
    )
    parser.add_argument(
        "--load", type=Path, metavar="FILE", help="measure nothing, make the tables of a saved file"
    )
    options = parser.parse_args()
    if options.all:
        options.closed_loop = options.memory = options.ours = options.max = True
    return options


def plans(options: argparse.Namespace, flags: Sequence[str]) -> list[Plan]:
    """Return what is run in every round, each with *flags*."""
    lasting = ("--seconds", str(options.seconds), *flags)
    numbers: Sequence[int] = options.calls or [50, 200]
    found = [Plan(Scenario("real time", n), ("--calls", str(n), *lasting), options.rounds) for n in numbers]
    if options.closed_loop:
        closed = ("--calls", str(numbers[0]), *lasting, "--closed-loop")
        found.append(Plan(Scenario("closed loop", numbers[0]), closed, options.rounds))
    if options.memory:
        found.append(Plan(Scenario("idle", 250), ("--idle", *flags), min(options.rounds, MAX_ROUNDS)))
    if options.ours:
        beside = ("--calls", str(N_BESIDE), *lasting)
        found += [
            Plan(Scenario("all read", N_BESIDE), beside, options.rounds, (OURS,)),
            Plan(Scenario("one stalled", N_BESIDE), (*beside, "--stalled", "1"), options.rounds, (OURS,)),
            Plan(Scenario("barge-in", N_BESIDE), (*beside, "--barge-in"), options.rounds, (OURS, C)),
        ]
    if options.max:
        found.append(
            Plan(
                Scenario("most", 0), ("--find-max", "--calls", "100", *flags), min(options.rounds, MAX_ROUNDS)
            )
        )
    return found


def measure(options: argparse.Namespace) -> Results:
    """Run all rounds; what cannot be run is told on standard error and in the results."""
    candidates, absent = runnable(name for name in options.only.split(",") if name)
    for line in absent:
        print(line, file=sys.stderr)
    flags, words = pinning()
    rounds = f"Rounds: {options.rounds}, of {options.seconds:g} s each. {words}"
    how = " ".join([machine(LIBRARIES), rounds, *(f"{line}." for line in absent)])
    timeout_s = 20 * options.seconds + 120
    return run_rounds(candidates, plans(options, flags), how=how, timeout_s=timeout_s, save=options.save)


def main() -> int:
    options = arguments()
    results = Results.load(options.load) if options.load else measure(options)
    parts = [f"{results.how}\n"]
    parts += [f"### {title}\n\n{reading}\n\n{markdown(table)}" for title, reading, table in sections(results)]
    text = "\n" + "\n".join(parts) + "\n"
    if options.print:
        print(text)
    else:
        write("bridges", text)
    damage = damage_of_ours(results)
    for line in damage:
        print(f"vapimedia serve damaged frames: {line}", file=sys.stderr)
    return 1 if damage else 0


if __name__ == "__main__":
    sys.exit(main())
