"""What ``import vapimedia.testing`` needs."""

from __future__ import annotations

import importlib
import sys

import pytest


def test_without_aiohttp_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("vapimedia.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r"vapimedia\[bridge\]"):
        importlib.import_module("vapimedia.testing")
