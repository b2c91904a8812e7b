"""Throw invented input at one of the parsers, led by which lines of it are reached.

``python fuzz/run_parser.py NAME [libFuzzer's arguments]``; without a name, tell them all.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vapimedia", "parsers"]):
    sys.path.insert(0, str(Path(__file__).parent))
    import parsers

if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(*parsers.TARGETS)
        sys.exit()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], parsers.TARGETS[sys.argv[1]])
    atheris.Fuzz()
