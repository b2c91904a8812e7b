"""A browser as the phone: the message language of Vapi's own WebSocket page. (Being written.)"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vapimedia.protocols.dialect import BaseDialect, Caps, Routes
from vapimedia.protocols.events import LegFormat

__all__ = ["BrowserDialect", "BrowserSettings"]


class BrowserSettings(msgspec.Struct, frozen=True):
    """Who may call. With ``secret`` whoever knows it; without, only this machine and only our own page.

    ``public_url`` is our origin; ``loopback`` says that the bridge listens on this machine alone. ``repr`` hides
    the secret.
    """

    secret: str = ""
    public_url: str = ""
    loopback: bool = True
    auth: bool = True


class BrowserDialect(BaseDialect):
    """A page's message language, for one call."""

    name: ClassVar[str] = "browser"
    caps: ClassVar[Caps] = Caps(
        exact_frames=False, max_lead_ms=60_000, marks=False, clear=True, unannounced=True
    )
    routes: ClassVar[Routes] = Routes("call", ("POST",))
    leg_format: LegFormat

    def __init__(self, settings: BrowserSettings, *, call_id: str = "") -> None:
        self.leg_format = LegFormat("pcm_s16le", 48000)
