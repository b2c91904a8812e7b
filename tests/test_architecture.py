"""The table of layers, checked over every source file: imports point down only."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import vapimedia

PACKAGE = "vapimedia"
ROOT = Path(__file__).parent.parent / "src" / PACKAGE
if not ROOT.exists():  # tests of an installed package
    ROOT = Path(vapimedia.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*") if path.suffix in {".py", ".pyx", ".pxd", ".pyi"})
MODULES = [path for path in SOURCES if path.suffix != ".pyi"]

# What each layer may import; itself and the leaves are always allowed.
LAYERS = ["audio", "media", "protocols", "session", "io"]
LEAVES = {"formats", "errors", "secret", "_version"}
BELOW = {name: set(LAYERS[: LAYERS.index(name)]) for name in LAYERS}
ABOVE = {"testing": set(LAYERS), "bench": set(LAYERS), "cli": {*LAYERS, "testing", "bench"}}
ALLOWED = BELOW | ABOVE | {leaf: set() for leaf in LEAVES}

IMPURE = {"asyncio", "socket", "time", "random", "threading", "picows", "uvloop", "aiohttp"}
HEAVY = {"picows", "uvloop", "aiohttp", "typer", "rich", "prometheus_client"}
# Which layers may name a library at all.
HOME = {"picows": {"io"}, "aiofastnet": {"io"}, "uvloop": {"io"}, "aiohttp": {"io", "testing"}}
HOME |= {"typer": {"cli"}, "rich": {"cli"}, "prometheus_client": {"io"}}

_CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+([\w.]+)\s+c?import\b|c?import\s+([\w.]+(?:\s*,\s*[\w.]+)*))", re.M
)


def layer_of(path: Path) -> str:
    """The folder, or the module itself at the top."""
    return path.relative_to(ROOT).parts[0].split(".")[0]


@functools.cache
def imports_of(path: Path) -> set[str]:
    """Every module that a file imports or cimports, by its full name."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".pyx", ".pxd"}:
        found: set[str] = set()
        for one, several in _CYTHON_IMPORT.findall(text):
            found.update(name.strip() for name in (one or several).split(","))
        return found
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
            if node.module == PACKAGE:
                found.update(f"{PACKAGE}.{alias.name}" for alias in node.names)
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_folder_is_a_known_layer() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in MODULES if path.parent != ROOT}
    assert folders <= set(ALLOWED)


def test_imports_point_down_only() -> None:
    exported = set(vapimedia.__all__)
    wrong = []
    for path in MODULES:
        layer = layer_of(path)
        if layer not in ALLOWED:  # the package's own __init__ and __main__ show what lies below them
            continue
        for module in imports_of(path):
            parts = module.split(".")
            if parts[0] != PACKAGE or len(parts) == 1 or parts[1] in exported:
                continue
            if parts[1] not in ALLOWED[layer] | {layer} | LEAVES:
                wrong.append(f"{name_of(path)} imports {module}")
    assert wrong == []


def test_libraries_are_named_by_their_layers_only() -> None:
    named = [
        (path, library)
        for path in MODULES
        for library in {module.split(".")[0] for module in imports_of(path)} & set(HOME)
    ]
    assert [
        f"{name_of(path)} imports {library}" for path, library in named if layer_of(path) not in HOME[library]
    ] == []


def test_protocols_and_session_touch_no_clock_socket_or_chance() -> None:
    pure = [path for path in MODULES if layer_of(path) in {"protocols", "session"}]
    assert {path.suffix for path in pure} == {".py"}
    assert [
        name_of(path) for path in pure if {module.split(".")[0] for module in imports_of(path)} & IMPURE
    ] == []


def test_only_the_layer_io_mentions_picows_and_uvloop() -> None:
    mentions = {
        layer_of(path)
        for path in MODULES
        if re.search(r"^\s*(?:from|import|cimport)\s+(?:picows|uvloop)", path.read_text("utf-8"), re.M)
    }
    assert mentions <= {"io"}


def test_no_source_file_is_longer_than_400_lines() -> None:
    assert [
        name_of(path) for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 400
    ] == []


def test_no_c_file_and_no_test_is_longer_than_400_lines() -> None:
    top = ROOT.parent.parent
    others = [
        *(top / "csrc").rglob("*.[ch]"),
        *(top / "fuzz").rglob("*.[ch]"),
        *(top / "tests").rglob("*.py"),
        *(top / "benchmarks").rglob("*.py"),
        *(top / "benchmarks").rglob("*.[ch]"),
    ]
    long = [path.name for path in others if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert long == []


def test_every_compiled_module_has_a_stub() -> None:
    compiled = [path for path in SOURCES if path.suffix == ".pyx"]  # none in an installed package
    assert [name_of(path) for path in compiled if not path.with_suffix(".pyi").exists()] == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, vapimedia, vapimedia.audio, vapimedia.session; print({HEAVY!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_layer_can_be_imported_without_those_above_it() -> None:
    lower = ["audio", "media", "protocols", "session"]
    for i, layer in enumerate(lower):
        code = f"import sys, vapimedia.{layer}; print([m for m in sys.modules if m.startswith('vapimedia.')])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = {name.split(".")[1] for name in ast.literal_eval(done.stdout)}
        assert loaded <= {*lower[: i + 1], *LEAVES, "_cyutility"}, layer
