"""The demo's phones: a call and, where there is one, an API of each provider, with keys made for this run."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from vapimedia.cli.demo_legs import Leg
from vapimedia.testing import (
    FakeBrowserCall,
    FakeTwilioApi,
    FakeTwilioCall,
    FakeVonageApi,
    FakeVonageCall,
    Interrupt,
    default_caller,
    make_application_key,
)
from vapimedia.testing.caller import CallerStep

__all__ = ["PUBLIC_URL", "Phone", "Stage", "phone_trouble", "stage"]

PUBLIC_URL = "https://demo.vapimedia.example"
"""What the provider would call; signatures are made over it while the sockets are on loopback."""
ACCOUNT_SID = "AC" + "0" * 31 + "1"
API_KEY = "abcd1234"
APPLICATION_ID = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
MAX_CALL_S = 90.0
INTERRUPT_AFTER_MS = 5800.0

Phone = FakeTwilioCall | FakeVonageCall | FakeBrowserCall


@dataclass(frozen=True)
class Stage:
    """What a provider's side needs: settings of the bridge, and how to make the call to a bridge's origin."""

    settings: dict[str, Any]
    phone: Callable[[str], Phone]


@asynccontextmanager
async def stage(leg: Leg, speed: float) -> AsyncIterator[Stage]:
    """Set up the provider's side of *leg*; its API runs inside."""
    shared: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "caller": _caller(),
        "speed": speed,
        "max_s": MAX_CALL_S,
    }
    match leg.provider:
        case "twilio":
            token = secrets.token_hex(16)
            async with FakeTwilioApi(account_sid=ACCOUNT_SID, auth_token=token) as api:
                yield _twilio(api, token, shared)
        case "vonage":
            private_key, public_key = make_application_key()
            async with FakeVonageApi(application_id=APPLICATION_ID, public_key=public_key) as vonage_api:
                yield _vonage(leg, vonage_api, private_key, shared)
        case _:
            yield _browser(leg, shared)


def _twilio(api: FakeTwilioApi, token: str, shared: dict[str, Any]) -> Stage:
    def phone(origin: str) -> Phone:
        call = FakeTwilioCall(
            f"{origin}/twilio/voice",
            auth_token=token,
            account_sid=ACCOUNT_SID,
            status_url=f"{origin}/twilio/status",
            **shared,
        )
        return api.register(call)

    settings = {
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": token,
        "twilio_api_url": api.url,
    }
    return Stage(settings, phone)


def _vonage(leg: Leg, api: FakeVonageApi, private_key: str, shared: dict[str, Any]) -> Stage:
    secret = secrets.token_hex(32)

    def phone(origin: str) -> Phone:
        call = FakeVonageCall(
            f"{origin}/vonage/answer",
            api_key=API_KEY,
            application_id=APPLICATION_ID,
            signature_secret=secret,
            event_url=f"{origin}/vonage/event",
            **shared,
        )
        return api.register(call)

    settings = {
        "vonage_api_key": API_KEY,
        "vonage_application_id": APPLICATION_ID,
        "vonage_private_key": private_key,
        "vonage_signature_secret": secret,
        "vonage_api_url": api.url,
        "vonage_rate": leg.format.sample_rate,
    }
    return Stage(settings, phone)


def _browser(leg: Leg, shared: dict[str, Any]) -> Stage:
    key = secrets.token_hex(16)

    def phone(origin: str) -> Phone:
        return FakeBrowserCall(f"{origin}/browser/call", key=key, rate=leg.format.sample_rate, **shared)

    return Stage({"browser_secret": key}, phone)


def _caller() -> list[CallerStep]:
    """Return the caller, who listens longer before interrupting: the call is to last 20 seconds."""
    return [
        replace(step, after_ms=INTERRUPT_AFTER_MS) if isinstance(step, Interrupt) else step
        for step in default_caller()
    ]


def phone_trouble(phone: Phone, leg: Leg) -> list[str]:
    """Return what the provider's side did not like, in sentences."""
    found = [f"{leg.provider.title()}'s side: {text}" for text in phone.violations]
    if phone.voice_status != 200 or phone.upgrade_status != 101:
        found.append(f"no media stream: webhook {phone.voice_status}, upgrade {phone.upgrade_status}")
        return found
    if phone.ear.fmt != leg.format:
        found.append(f"the media stream was {phone.ear.fmt} instead of {leg.format}")
    if phone.close_code is None:
        found.append("the media socket was left open")
    if isinstance(phone, FakeVonageCall):
        found += _vonage_trouble(phone)
    return found


def _vonage_trouble(phone: FakeVonageCall) -> list[str]:
    found = []
    if "disconnected" in phone.websocket_statuses:
        found.append("Vonage reported its media socket disconnected: the call was not hung up by REST")
    elif phone.ended_by != "api":
        found.append(f"the call was ended by {phone.ended_by} instead of by REST")
    if phone.fallback_ncco is not None:
        found.append("the bridge answered lost media with another NCCO")
    return found
