"""Twilio's signatures, and the form bodies they cover.

Source: twilio.com/docs/usage/webhooks/webhooks-security. The URL is built from the configured public
one, never from what the request says about itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qs, parse_qsl

from vapimedia.protocols.dialect import Refusal, UpgradeRequest, WebhookRequest
from vapimedia.secret import Secret

__all__ = ["check_upgrade_signature", "check_webhook_signature", "form_fields", "is_form", "read_fields"]

_SIGNATURE = "x-twilio-signature"
# Sent with a SharedKey: "key=...,algorithm=HMAC_SHA256".
_SETTINGS = "x-twilio-webhooks-signature-settings"
_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_MAX_FIELDS = 1000
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[^\]]*\]|[^/:?#]*)(?::(?P<port>\d+))?(?P<rest>.*)", re.DOTALL
)
_DEFAULT_PORTS = {"https": "443", "wss": "443", "http": "80", "ws": "80"}


def check_webhook_signature(request: WebhookRequest, public_url: str, auth_token: Secret) -> Refusal | None:
    """Return why a webhook must be refused, or ``None`` if Twilio signed it.

    A form is signed field by field; any other body by its SHA-256 in the query (``bodySHA256``).
    """
    refusal = _check_settings(request.path, public_url, auth_token)
    if refusal is not None:
        return refusal
    fields: Sequence[tuple[str, str]] = ()
    if is_form(request):
        try:
            fields = form_fields(request.body)
        except ValueError:
            return Refusal(400, "the webhook's form has too many fields")
    elif request.body and not _body_is_signed(request):
        return Refusal(403, "the webhook's body is not covered by its signature")
    urls = _url_variants(public_url.rstrip("/") + request.path)
    return _check(request.headers, urls, fields, auth_token)


def check_upgrade_signature(request: UpgradeRequest, public_url: str, auth_token: Secret) -> Refusal | None:
    """Return why an upgrade must be refused, or ``None`` if Twilio signed it.

    What is signed is the ``wss://`` URL of the TwiML, sometimes with a slash at the end or with its port.
    """
    refusal = _check_settings(request.path, public_url, auth_token)
    if refusal is not None:
        return refusal
    # http becomes ws, https becomes wss.
    url = "ws" + public_url.rstrip("/").removeprefix("http") + request.path
    urls = _url_variants(url)
    if "?" not in url:
        urls += [f"{variant}/" for variant in urls]
    return _check(request.headers, urls, (), auth_token)


def is_form(request: WebhookRequest) -> bool:
    """Whether the body is an HTML form."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type == "application/x-www-form-urlencoded"


def form_fields(body: bytes | str) -> list[tuple[str, str]]:
    """Return the fields of a form or a query, empty ones too. Raises ``ValueError`` above 1000 fields."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)


def read_fields(request: WebhookRequest) -> dict[str, str]:
    """Return a webhook's fields, query and form; the last of a name wins. Raises ``ValueError``."""
    fields = dict(form_fields(request.path.partition("?")[2]))
    return fields | dict(form_fields(request.body)) if is_form(request) else fields


def _check_settings(path: str, public_url: str, auth_token: Secret) -> Refusal | None:
    if not auth_token:
        return Refusal(403, "no Twilio auth token is configured, so no signature can be checked")
    if not public_url:
        return Refusal(403, "no public URL is configured, so no signature can be checked")
    if not path.startswith("/"):
        return Refusal(403, "the request's path is not absolute")
    return None


def _check(
    headers: Mapping[str, str], urls: Iterable[str], fields: Sequence[tuple[str, str]], auth_token: Secret
) -> Refusal | None:
    signature = headers.get(_SIGNATURE, "")
    if not signature:
        return Refusal(403, "the request carries no X-Twilio-Signature")
    algorithm = _ALGORITHMS.get(_algorithm(headers.get(_SETTINGS, "")))
    if algorithm is None:
        return Refusal(403, "the request is signed by an algorithm other than HMAC_SHA1 and HMAC_SHA256")
    sent, tail = _bytes(signature), _bytes(_joined(fields))
    for url in urls:
        digest = hmac.digest(_bytes(auth_token.reveal()), _bytes(url) + tail, algorithm)
        if hmac.compare_digest(base64.b64encode(digest), sent):
            return None
    return Refusal(403, "the X-Twilio-Signature does not match the configured public URL and auth token")


def _joined(fields: Sequence[tuple[str, str]]) -> str:
    """Return what is signed after the URL: names in order, each name's different values in order."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _url_variants(url: str) -> list[str]:
    """Return *url* without and with its port: Twilio signs now one, now the other."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return []
    port = parts["port"] or _DEFAULT_PORTS.get(parts["scheme"], "80")
    return [f"{parts['scheme']}://{parts['host']}{colon}{parts['rest']}" for colon in ("", f":{port}")]


def _body_is_signed(request: WebhookRequest) -> bool:
    try:
        query = parse_qs(request.path.partition("?")[2], max_num_fields=_MAX_FIELDS)
    except ValueError:
        return False
    expected = query.get("bodySHA256", [""])[0]
    return hmac.compare_digest(_bytes(expected), hashlib.sha256(request.body).hexdigest().encode())


def _algorithm(settings: str) -> str:
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"


def _bytes(text: str) -> bytes:
    # Text from a header may hold lone surrogates, which only mean that nothing will match.
    return text.encode("utf-8", "surrogatepass")
