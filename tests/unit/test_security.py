"""The table of limits in SECURITY.md holds the values of the code, and names tests that exist."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vapimedia.io.config import BridgeConfig

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("<!-- limits: begin -->")[2].partition("<!-- limits: end -->")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()[2:]]


def value_of(where: str) -> float:
    """Return the limit that stands at *where*: a setting, a constant, a field's or a parameter's default."""
    setting = re.fullmatch(r"setting `(\w+)`", where)
    if setting:
        return float(getattr(BridgeConfig(), setting[1]))
    in_cython = re.fullmatch(r"`(\w+)` in `([\w/.]+)`", where)
    if in_cython:
        found = re.findall(rf"^ +{in_cython[1]} = (\d+)\b", (ROOT / in_cython[2]).read_text("utf-8"), re.M)
        assert len(found) == 1, where
        return float(found[0])
    holder, _, name = where.strip("`").rpartition(".")
    try:
        held: Any = importlib.import_module(holder)
    except ModuleNotFoundError:
        module, _, kind = holder.rpartition(".")
        held = getattr(importlib.import_module(module), kind)
    if isinstance(held, type) and issubclass(held, msgspec.Struct):
        return float(next(field.default for field in msgspec.structs.fields(held) if field.name == name))
    if isinstance(held, type):
        return float(inspect.signature(held).parameters[name].default)
    return float(getattr(held, name))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_limit_has_the_value_of_the_code_and_a_test(row: list[str]) -> None:
    _name, value, where, _protects, test = row
    assert float(value.split()[0]) == value_of(where)
    assert (ROOT / test.strip("`")).exists(), f"there is no {test}"


def test_the_table_is_read_at_all() -> None:
    assert len(ROWS) > 25
