"""What an installed vapimedia consists of. In a source tree on the path there is nothing to judge."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path, PurePosixPath

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "vapimedia"
PUBLIC_HEADERS = {
    *("base64", "busy", "convert", "dispatch", "envelope", "fir", "fir_kernels", "g711", "histogram"),
    *(
        "level",
        "line",
        "live",
        "playout",
        "queue",
        "reorder",
        "shed",
        "slicer",
        "stereo",
        "tap",
        "track",
        "ws",
    ),
}


def test_every_header_is_public_or_between_the_kernels_own_files() -> None:
    root = SOURCES.parents[1]
    kept = re.search(
        r'FILTER kernel_headers EXCLUDE REGEX "(.*)"', (root / "csrc" / "CMakeLists.txt").read_text()
    )
    assert kept is not None
    own = re.compile(kept[1].replace("\\\\", "\\"))
    assert {path.stem for path in root.glob("csrc/*.h") if not own.search(path.as_posix())} == PUBLIC_HEADERS


@pytest.fixture(scope="module")
def installed() -> set[PurePosixPath]:
    try:
        found = files("vapimedia") or []
    except PackageNotFoundError:
        pytest.skip("vapimedia runs from a source tree here; the artifact is judged where it is installed")
    inside = {PurePosixPath(path) for path in found if path.parts[0] == "vapimedia"}
    if PurePosixPath("vapimedia/formats.py") not in inside:
        pytest.skip("vapimedia is installed as editable here; the artifact is judged where it is installed")
    return inside


def names(paths: set[PurePosixPath], ending: str) -> set[str]:
    return {str(path) for path in paths if path.name.endswith(ending)}


def test_every_binding_ships_compiled_with_its_types_and_without_its_source(
    installed: set[PurePosixPath],
) -> None:
    modules = {str(path).split(".")[0] for path in installed if path.suffix in (".so", ".pyd")}
    for source in SOURCES.rglob("*.pyx"):
        name = (PurePosixPath("vapimedia") / source.relative_to(SOURCES).as_posix()).with_suffix("")
        assert str(name) in modules
        assert f"{name}.pyi" in names(installed, ".pyi")
    assert not names(installed, ".pyx") | names(installed, ".c")


def test_declarations_and_headers_ship_for_other_peoples_code(installed: set[PurePosixPath]) -> None:
    assert {"vapimedia/media/path.pxd", "vapimedia/audio/converter.pxd"} <= names(installed, ".pxd")
    headers = {f"vapimedia/include/{name}.h" for name in PUBLIC_HEADERS}
    assert headers == names(installed, ".h")
    assert {path.name for path in installed if path.parts[1] == "lib"} <= {
        "libvm_kernels.a",
        "vm_kernels.lib",
    }
    assert any(path.parts[1] == "lib" for path in installed)


def test_types_and_clips_ship_and_nothing_of_the_tests_does(installed: set[PurePosixPath]) -> None:
    assert PurePosixPath("vapimedia/py.typed") in installed
    assert len(names(installed, ".wav")) >= 5
    assert not [path for path in installed if path.parts[1] in ("tests", "benchmarks")]


def test_the_whole_phone_page_ships(installed: set[PurePosixPath]) -> None:
    page = {path.name for path in installed if path.parts[:3] == ("vapimedia", "io", "phone")}
    scripts = {"phone.js", "call.js", "bridge.js", "capture.js", "playback.js"}
    assert page == scripts | {"index.html", "style.css", "icon.svg"}


def test_windows_judges_only_the_layers_below_the_pump() -> None:
    settings = tomllib.loads((SOURCES.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    judged = settings["tool"]["cibuildwheel"]["windows"]["test-command"]
    assert re.findall(r"tests/?(\S*)", judged) == [
        "unit/audio",
        "unit/media",
        "unit/protocols",
        "unit/session",
    ]


def test_nothing_imports_the_modules_that_are_there_for_the_tests() -> None:
    sources = [path for ending in ("py", "pyx", "pxd") for path in SOURCES.rglob(f"*.{ending}")]
    private = re.compile(r"import\b.*\b_(probe|kernels)\b|\b(audio\._kernels|media\._probe)\s+c?import")
    assert [path.name for path in sources if private.search(path.read_text(encoding="utf-8"))] == []
