"""The page that calls from a browser: ``/phone`` and the files below it, as they lie in the folder ``phone``."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

__all__ = ["add_phone_page"]

_FOLDER = Path(__file__).parent / "phone"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
# Nothing inline, nothing from elsewhere, and in nobody else's frame. The socket is of the same origin: CSP level 3
# takes that for 'self'. The older word for a worklet's script is worker-src.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def add_phone_page(app: web.Application, *, wants_key: bool = False) -> None:
    """Add ``GET /phone`` and its files. *wants_key*: the page shows its field for the key from the start."""
    files = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    page = files.pop("index.html").read_text(encoding="utf-8")
    if wants_key:
        page = page.replace('data-key="none"', 'data-key="wanted"')
    _add(app, "/phone", page, ".html")
    for name, path in files.items():
        _add(app, f"/phone/{name}", path.read_text(encoding="utf-8"), path.suffix)


def _add(app: web.Application, path: str, text: str, suffix: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=_TYPES[suffix], charset="utf-8", headers=_HEADERS)

    app.router.add_get(path, answer)
