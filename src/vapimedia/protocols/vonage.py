"""Vonage Voice API WebSockets. (Being written.)"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vapimedia.protocols.dialect import BaseDialect, Caps, Routes
from vapimedia.protocols.events import LegFormat
from vapimedia.protocols.seen import SeenOnce

__all__ = ["VonageDialect", "VonageSettings"]


class VonageSettings(msgspec.Struct, frozen=True):
    """The account, and how calls are connected. ``auth=False`` accepts unsigned requests.

    ``private_key`` is the application's RSA key in PEM; ``signature_secret`` is the account's, which signs
    webhooks and upgrades; ``from_number`` stands in the NCCO where the webhook names no number of ours. ``repr``
    hides the secrets.
    """

    api_key: str = ""
    application_id: str = ""
    private_key: str = ""
    signature_secret: str = ""
    api_url: str = "https://api.nexmo.com"
    sample_rate: int = 16000
    from_number: str = ""
    auth: bool = True


class VonageDialect(BaseDialect):
    """Vonage's message language, for one call. *seen* is shared by all calls of a bridge."""

    name: ClassVar[str] = "vonage"
    caps: ClassVar[Caps] = Caps(exact_frames=True, max_lead_ms=19_800, marks=True, clear=True)
    routes: ClassVar[Routes] = Routes("answer", ("GET", "POST"), "event")
    leg_format: LegFormat

    def __init__(self, settings: VonageSettings, *, call_id: str = "", seen: SeenOnce | None = None) -> None:
        self.leg_format = LegFormat("pcm_s16le", settings.sample_rate)
