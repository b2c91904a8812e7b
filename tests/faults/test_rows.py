"""The table of faults and the tests of them say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FAULTS = Path(__file__).parent
PAGE = FAULTS.parents[1] / "docs" / "reference" / "faults.md"
_ROW = re.compile(
    r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| \[(\w+)\]\(\.\./\.\./tests/faults/(\w+\.py)\) \|$", re.MULTILINE
)


def rows() -> list[tuple[int, str, str]]:
    """Number, name of the link and file of every row."""
    return [(int(number), name, file) for number, _, _, name, file in _ROW.findall(PAGE.read_text())]


def test_every_row_of_the_table_can_be_read_and_they_count_from_one() -> None:
    table = [line for line in PAGE.read_text().splitlines() if re.match(r"\| \d", line)]
    assert len(table) == len(rows())
    assert [number for number, _, _ in rows()] == list(range(1, len(table) + 1))


def test_no_fault_lacks_its_test_and_no_test_its_fault() -> None:
    found = {path.name for path in FAULTS.glob("test_[0-9][0-9]_*.py")}
    assert found == {file for _, _, file in rows()}
    for number, name, file in rows():
        assert file == f"{name}.py" and file.startswith(f"test_{number:02d}_")


def test_every_file_of_a_row_has_a_test_that_nothing_switches_off() -> None:
    for _, _, file in rows():
        tree = ast.parse((FAULTS / file).read_text())
        tests = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        ]
        always = [
            node
            for node in tests
            if not any("skip" in ast.dump(one) or "xfail" in ast.dump(one) for one in node.decorator_list)
        ]
        assert always, f"{file} has no test"
