"""Made-up secrets that every fault test runs with, and that must show nowhere."""

from __future__ import annotations

__all__ = ["CANARIES", "SETTINGS", "expect_no_canary"]

CANARIES = {
    "the API key": "canary-key-1b2c",
    "the webhook secret": "canary-webhook-3d4e",
    "Twilio's token": "canarytwilio5f60718293a4b5c6d7e8",
    "Vonage's secret": "canary-vonage-signature-secret-9f0a1b2c",
    "the digits of a number": "5557770123",
    "a transcript": "canary words of the caller",
    "a custom parameter": "canary-parameter",
    "the token in Vapi's URLs": "canary-url-token",
    "a user's exception": "canary-exception",
}

SETTINGS = {
    "vapi_api_key": CANARIES["the API key"],
    "vapi_webhook_secret": CANARIES["the webhook secret"],
    "twilio_auth_token": CANARIES["Twilio's token"],
    "vonage_signature_secret": CANARIES["Vonage's secret"],
}
"""For ``scene.running(**SETTINGS)`` and ``scene.settings``."""


def expect_no_canary(*texts: str) -> None:
    """Raise ``AssertionError`` with the place of the first canary in *texts*."""
    for text in texts:
        for name, value in CANARIES.items():
            at = text.find(value)
            assert at < 0, f"{name} shows: {text[max(0, at - 200) : at + 60]}"
