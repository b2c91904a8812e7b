"""Print what the Autobahn test suite found, a row for each group of cases; exit 1 if it is not what must be.

python report.py [--some] server/index.json client/index.json

With ``--some`` whole groups may be missing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

_GROUPS = {
    1: "framing",
    2: "pings",
    3: "reserved bits",
    4: "opcodes",
    5: "fragments",
    6: "UTF-8",
    7: "closing",
    9: "limits",
    10: "large frames, sliced",
}
_COLUMNS = ("pass", "non-strict", "informational", "1009", "failed")
_TOO_BIG = 1009


def _is_beyond(case: str, side: str) -> bool:
    """Whether *case* must be refused with 1009: over 64 KiB to a server, over 64 fragments to either."""
    if not case.startswith("9."):
        return False
    kind, size = (int(part) for part in case.split(".")[1:])
    if kind in (3, 4) and size <= 6:  # 4 MiB in fragments of 64 bytes to 64 KiB, and an empty one
        return True
    return side == "server" and (kind in (3, 4, 5, 6) or (kind in (1, 2) and size >= 2))


def _verdict(case: str, side: str, result: dict[str, object]) -> str:
    if _is_beyond(case, side):
        return "1009" if result["remoteCloseCode"] == _TOO_BIG else "failed"
    behavior, closing = result["behavior"], result["behaviorClose"]
    if behavior == "INFORMATIONAL":
        return "informational"
    if behavior not in ("OK", "NON-STRICT") or closing not in ("OK", "INFORMATIONAL"):
        return "failed"
    return "pass" if behavior == "OK" else "non-strict"


def _print_row(name: str, counts: Counter[str]) -> None:
    print(f"{name:26}" + "".join(f"{counts[column] or '':>15}" for column in _COLUMNS))


def _show(agent: str, side: str, results: dict[str, dict[str, object]], *, is_whole: bool) -> list[str]:
    """Print the table of one agent; return its failures."""
    groups: dict[int, Counter[str]] = defaultdict(Counter)
    failed = []
    for case, result in results.items():
        verdict = _verdict(case, side, result)
        groups[int(case.split(".")[0])][verdict] += 1
        if verdict == "failed":
            failed.append(
                f"{side} {agent}: case {case}, {result['behavior']}, closing {result['behaviorClose']}"
            )
    if is_whole:
        missing = _GROUPS.keys() - groups.keys()
        failed += [f"{side} {agent}: no case of group {group} was run" for group in sorted(missing)]
    print(f"\n{side}, {agent}: {len(results)} cases")
    print(f"{'group':26}" + "".join(f"{column:>15}" for column in _COLUMNS))
    for group, counts in sorted(groups.items()):
        _print_row(f"{group:2} {_GROUPS.get(group, '')}", counts)
    _print_row("   all", sum(groups.values(), Counter()))
    return failed


def main() -> None:
    failed = []
    paths = [argument for argument in sys.argv[1:] if argument != "--some"]
    for side, path in zip(("server", "client"), paths, strict=True):
        for agent, results in sorted(json.loads(Path(path).read_text()).items()):
            failed += _show(agent, side, results, is_whole="--some" not in sys.argv)
    if failed:
        sys.exit("\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
