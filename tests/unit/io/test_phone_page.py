"""The page's files as they are served: what they may load, and that there is nothing in them that may not run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from vapimedia.io import phone_page
from vapimedia.io.phone_page import add_phone_page

FOLDER = Path(phone_page.__file__).parent / "phone"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.is_file())
PATHS = ["/phone", *(f"/phone/{name}" for name in FILES if name != "index.html")]

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    add_phone_page(app)
    async with TestClient(TestServer(app)) as client:
        yield client


class Elements(HTMLParser):
    """Every element with its attributes, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)


def index() -> Elements:
    return Elements((FOLDER / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PATHS)
async def test_every_file_is_served_under_the_strict_policy(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 200
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
        assert set(policy.values()) == {"'none'", "'self'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "microphone=(self)" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/phone", "text/html"),
        ("/phone/phone.js", "text/javascript"),
        ("/phone/style.css", "text/css"),
        ("/phone/icon.svg", "image/svg+xml"),
    ],
)
async def test_every_file_says_what_it_is(client: Client, path: str, content_type: str) -> None:
    async with client.get(path) as answer:
        assert (answer.content_type, answer.charset) == (content_type, "utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "/phone/index.html",
        "/phone/",
        "/phone/none.js",
        "/phone/../phone_page.py",
        "/phone/%2e%2e/phone_page.py",
    ],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_only_reading_is_allowed(client: Client) -> None:
    async with client.post("/phone") as answer:
        assert answer.status == 405
    async with client.head("/phone") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("wants_key", [True, False])
async def test_the_page_is_told_whether_a_key_is_wanted(wants_key: bool) -> None:
    app = web.Application()
    add_phone_page(app, wants_key=wants_key)
    async with TestClient(TestServer(app)) as client, client.get("/phone") as answer:
        elements = Elements(await answer.text())
    [body] = [attributes for tag, attributes in elements.found if tag == "body"]
    assert body["data-key"] == ("wanted" if wants_key else "none")


def test_nothing_in_the_page_is_inline() -> None:
    elements = index()
    assert elements.inline == []
    names = {name for _, attributes in elements.found for name in attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


def test_the_page_loads_its_own_files_only() -> None:
    loaded = {
        value
        for tag, attributes in index().found
        if tag in ("script", "link", "img")
        for name, value in attributes.items()
        if name in ("src", "href")
    }
    assert loaded <= set(PATHS)
    assert {"/phone/phone.js", "/phone/style.css"} <= loaded


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_no_script_makes_code_or_markup_of_text_or_goes_elsewhere(name: str) -> None:
    script = (FOLDER / name).read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://|wss?://"
    )
    assert re.findall(forbidden, script) == []


def test_every_element_that_the_script_looks_for_is_there() -> None:
    wanted = set(re.findall(r'\bat\("([\w-]+)"\)', (FOLDER / "phone.js").read_text(encoding="utf-8")))
    ids = [str(attributes["id"]) for _, attributes in index().found if "id" in attributes]
    assert wanted <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_label_and_description_leads_to_an_element() -> None:
    found = index().found
    ids = {attributes["id"] for _, attributes in found if "id" in attributes}
    for _, attributes in found:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name) is None or attributes[name] in ids


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_longer_than_400_lines(name: str) -> None:
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) <= 400
