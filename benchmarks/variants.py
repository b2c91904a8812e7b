"""The same operations with each instruction set, ours only.

``VAPIMEDIA_SIMD`` is read at import, so each has a process of its own. All of them wait at their standard input
(``python benchmarks/variants.py``) and take turns: each line names an operation, each answer is its cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from speed import OPERATIONS, row_name, shown_ns
from timing import in_turns

__all__ = ["available", "variant_table"]

_VARIANTS = ["scalar", "sse2", "avx2", "avx512", "neon"]
_ROUNDS_OF_A_TURN = 5


def available() -> list[str]:
    """Return the instruction sets that the package has here, by asking it for each."""
    ask = [sys.executable, "-c", "from vapimedia.audio import simd; print(simd)"]
    found = []
    for variant in _VARIANTS:
        answer = subprocess.run(ask, env=_environment(variant), capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip() == variant:
            found.append(variant)
        elif "is not available here" not in answer.stderr:
            raise RuntimeError(f"VAPIMEDIA_SIMD={variant} was not answered as expected:\n{answer.stderr}")
    return found


def variant_table(*, n_turns: int) -> list[Sequence[str]]:
    """Return the rows, the head first: the cheapest round of each operation with each instruction set."""
    variants = available()
    best: dict[tuple[str, str], float] = {}
    with ExitStack() as stack:
        waiting = {variant: stack.enter_context(_start(variant)) for variant in variants}
        for i in range(len(OPERATIONS)):
            for _ in range(n_turns):
                for variant, process in waiting.items():
                    for name, cost_ns in _ask(process, i).items():
                        best[name, variant] = min(cost_ns, best.get((name, variant), cost_ns))
    names = dict.fromkeys(name for name, _ in best)
    rows = [[name, *(shown_ns(best[name, variant]) for variant in variants)] for name in names]
    return [["20 ms frame", *variants], *rows]


def _start(variant: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__],
        env=_environment(variant),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def _ask(process: subprocess.Popen[str], operation: int) -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{operation}\n")
    answer: dict[str, float] = json.loads(process.stdout.readline())
    return answer


def _environment(variant: str) -> dict[str, str]:
    return os.environ | {"VAPIMEDIA_SIMD": variant}


def _measure(operation: int) -> dict[str, float]:
    name, rows, goals, *_ = OPERATIONS[operation]
    costs = in_turns({goal.ours: rows[goal.ours] for goal in goals}, n_rounds=_ROUNDS_OF_A_TURN)
    return {row_name(name, ours): cost.min_ns for ours, cost in costs.items() if cost is not None}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_measure(int(line))), flush=True)
