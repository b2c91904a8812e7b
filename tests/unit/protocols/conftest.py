"""Recorded conversations and invented payloads, read from ``tests/data``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def twilio_call() -> list[dict[str, Any]]:
    """One whole bidirectional call, one entry per message or webhook."""
    return read_lines("twilio_bidirectional")


@pytest.fixture
def twilio_listen() -> list[dict[str, Any]]:
    """A unidirectional stream of both tracks."""
    return read_lines("twilio_unidirectional_both_tracks")


@pytest.fixture(params=[8000, 16000, 24000], ids=["8k", "16k", "24k"])
def vonage_call(request: pytest.FixtureRequest) -> tuple[int, list[dict[str, Any]]]:
    """A sample rate, and a whole call at it: one entry per message, webhook or request."""
    return request.param, read_lines(f"vonage_{request.param // 1000}k", "vonage")


@pytest.fixture
def vonage_unanswered() -> list[dict[str, Any]]:
    """A call whose media socket could not be reached, and what the caller got instead."""
    return read_lines("vonage_unanswered_fallback", "vonage")


@pytest.fixture(scope="session")
def rsa_pem() -> str:
    """A private key as Vonage makes one for an application."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_lines(name: str, folder: str = "twilio") -> list[dict[str, Any]]:
    lines = (DATA / folder / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
