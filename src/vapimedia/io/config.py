"""The settings of a bridge: one struct, checked as a whole before anything starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Quality
from vapimedia.io.config_webhooks import WebhookSettings
from vapimedia.protocols.hosts import is_loopback
from vapimedia.protocols.vapi.auth import check_api_key
from vapimedia.secret import Secret, SecretField, keep_secret

__all__ = ["PROVIDERS", "SECRETS", "BridgeConfig", "check_folder", "convert"]

Port = Annotated[int, Meta(ge=0, le=65535, description="a port number, 0..65535 (0 picks a free one)")]

SECRETS = frozenset(
    {
        "vapi_api_key",
        "vapi_public_key",
        "vapi_webhook_secret",
        "twilio_account_sid",
        "twilio_auth_token",
        "vonage_api_key",
        "vonage_application_id",
        "vonage_private_key",
        "vonage_signature_secret",
        "browser_secret",
    }
)
"""Settings that come by environment or file only, and that are of type ``Secret``."""

_NUMBERS = frozenset({"twilio_from", "vonage_from"})
PROVIDERS = ("twilio", "vonage", "browser")
_BOOL_WORDS = {"yes": True, "on": True, "no": False, "off": False}
_MIN_SECRET = 16
_VAPI_ENCODINGS = ("mulaw", "pcm_s16le")


class BridgeConfig(WebhookSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting of a bridge; ``check`` says whether the whole can run.

    A text that is given for a secret becomes a ``Secret``. ``repr`` hides these, and the numbers.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    providers: Annotated[tuple[str, ...], Meta(description="a list of providers such as twilio")] = (
        "twilio",
    )
    vapi_url: str = "https://api.vapi.ai"
    assistant_id: str = ""
    vapi_format: str = "auto"
    """``auto`` picks what needs least work for the provider's format; else like ``mulaw/8000``."""
    public_url: str = ""
    """The origin under which the provider reaches the public port; signatures are checked against it."""
    admin: str = "127.0.0.1:8081"
    app: str | None = None
    """``pkg.mod:bridge``, a user's own bridge to run."""
    workers: Annotated[int, Meta(ge=1, le=256, description="a number of processes, 1..256")] = 1
    record: str | None = None
    """A folder that exists: both legs of every call are recorded there."""
    log_format: Literal["text", "json"] = "text"
    """How ``vapimedia serve`` writes its log, one line a record; a program of one's own sets its logging itself."""
    wire_log: str | None = None
    """For debugging: a file to which a line goes for each message and request, contents left out."""
    auth: bool = True
    unpaced: bool = False

    max_calls: Annotated[int, Meta(ge=1, le=100_000, description="a number of calls, 1..100000")] = 500
    drain_s: Annotated[float, Meta(ge=0, le=86_400, description="seconds, 0..86400")] = 30.0
    token_ttl_s: Annotated[float, Meta(gt=0, le=3600, description="seconds, above 0 and up to 3600")] = 60.0
    ping_interval_s: Annotated[float, Meta(gt=0, le=3600, description="seconds, above 0 and up to 3600")] = (
        20.0
    )

    quality: Quality = "balanced"
    lead_ms: Annotated[int, Meta(ge=100, le=60_000, description="milliseconds, 100..60000")] | None = None
    """How far ahead of playout audio is sent; ``None`` takes the provider's own limit."""
    prebuffer_ms: Annotated[int, Meta(ge=0, le=200, description="milliseconds, 0..200")] = 40
    coalesce_us: Annotated[int, Meta(ge=0, le=2000, description="microseconds, 0..2000")] = 50
    """How long a crowded bridge (some 80 calls) waits for more to read before it reads; 0 never waits."""
    dtmf: Literal["message", "tone", "ignore"] = "message"
    barge_in: Literal["user-interrupted", "speech-update", "off"] = "user-interrupted"
    interrupt_guard_ms: Annotated[int, Meta(ge=0, le=5000, description="milliseconds, 0..5000")] = 0
    on_vapi_lost: Literal["hang_up", "continue"] = "hang_up"
    on_callback_error: Literal["hang_up", "continue"] = "hang_up"
    """What becomes of a call about which ``on_event`` raises. It is logged and counted in any case."""
    vapi_transfers: Literal["forward", "ignore"] = "forward"
    vapi_ws_auth: bool = True
    vapi_hosts: Annotated[tuple[str, ...], Meta(description="a list of host names")] = ("vapi.ai",)
    """Suffixes of hosts that a call's socket may be on, beside the API's own host."""

    vapi_api_key: SecretField = SecretField()
    vapi_public_key: SecretField = SecretField()
    """For calls whose ``monitorPlan`` wants it on a control or listen URL (``controlAuthenticationEnabled``)."""
    twilio_account_sid: SecretField = SecretField()
    twilio_auth_token: SecretField = SecretField()
    twilio_api_url: str = "https://api.twilio.com"
    twilio_from: str = ""
    """The number of the account that outbound calls come from, in E.164."""

    vonage_api_key: SecretField = SecretField()
    vonage_application_id: SecretField = SecretField()
    vonage_private_key: SecretField = SecretField()
    """The application's private key: the PEM text itself, or the path of its file."""
    vonage_signature_secret: SecretField = SecretField()
    vonage_api_url: str = "https://api.nexmo.com"
    vonage_from: str = ""
    """The number of the account that outbound calls come from."""
    vonage_rate: Literal[8000, 16000, 24000] = 16000
    """Sample rate of Vonage's media sockets."""

    browser_secret: SecretField = SecretField()
    """What a page must know to call. Without it the browser is served on this machine only."""

    def __post_init__(self) -> None:
        keep_secret(self, *SECRETS)
        for name in ("vapi_url", "public_url", "twilio_api_url", "vonage_api_url"):
            value = getattr(self, name)
            if isinstance(value, str):
                force_setattr(self, name, value.strip().rstrip("/"))
        if isinstance(self.providers, tuple) and all(isinstance(name, str) for name in self.providers):
            force_setattr(self, "providers", tuple(name.strip().lower() for name in self.providers))

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"BridgeConfig({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return [(name, "***" if name in _NUMBERS and value else value) for name, value in values.items()]

    def admin_address(self) -> tuple[str, int]:
        """Return host and port of ``admin``. Raises ``ConfigError``."""
        return _split_address("admin", self.admin)

    def number_of(self, provider: str) -> str:
        """Return the number that calls through *provider* come from; empty if none is set."""
        return {"twilio": self.twilio_from, "vonage": self.vonage_from}.get(provider, "")

    def vapi_audio_format(self) -> AudioFormat | None:
        """Return the format that ``vapi_format`` names, ``None`` for ``auto``. Raises ``ConfigError``."""
        if self.vapi_format.strip().lower() == "auto":
            return None
        try:
            wanted = AudioFormat.parse(self.vapi_format)
            wanted.frame_bytes()
        except ConfigError as error:
            raise ConfigError(f"vapi_format: {error}") from None
        if wanted.encoding not in _VAPI_ENCODINGS:
            raise ConfigError(
                f"vapi_format {self.vapi_format!r} is not one that Vapi speaks; "
                "use auto, mulaw/8000 or pcm_s16le/16000"
            )
        return wanted

    def check(self) -> None:
        """Raise ``ConfigError`` for the first thing that keeps a bridge with these settings from running."""
        for info in msgspec.structs.fields(self):
            convert(info, getattr(self, info.name), source="", strict=True)
        if self.record:
            check_folder("record", self.record)
        if self.wire_log and (Path(self.wire_log).is_dir() or not Path(self.wire_log).parent.is_dir()):
            raise ConfigError(f"wire_log: {self.wire_log!r} must name a file in a folder that exists")
        self._check_providers()
        _check_url("vapi_url", self.vapi_url, plain_on_loopback_only=True)
        for name in ("twilio_api_url", "vonage_api_url"):
            _check_url(name, getattr(self, name), plain_on_loopback_only=True)
        self.vapi_audio_format()
        admin_host, admin_port = self.admin_address()
        _check_host("host", self.host)
        _check_host("admin", admin_host)
        if self.port and admin_port == self.port and admin_host == self.host:
            raise ConfigError(f"admin and the public port are both {self.admin}; give --admin another port")
        if not self.vapi_api_key:
            raise ConfigError(
                "VAPI_API_KEY is not set; put Vapi's private key in the environment or the file"
            )
        check_api_key(self.vapi_api_key, "VAPI_API_KEY")
        check_api_key(self.vapi_public_key, "VAPI_PUBLIC_KEY")
        if self.public_url:
            _check_url("public_url", self.public_url)
            if urlsplit(self.public_url).path:
                raise ConfigError(
                    f"public_url must be an origin such as https://bridge.example.com, without a path, "
                    f"not {self.public_url!r}"
                )
        self.check_webhooks(self.public_url)
        if self.auth:
            self._check_signatures()

    def warnings(self, *, dials: bool = False) -> list[str]:
        """Return one sentence for each setting that runs but is probably not meant.

        *dials* leaves out what keeps a call from being made: that is an error then.
        """
        found = []
        if not self.auth:
            found.append(
                "--no-auth: webhooks and media sockets are NOT verified; use it for development only"
            )
        if self.wire_log:
            found.append(
                f"--wire-log: the structure of every message goes to {self.wire_log}; use it for debugging only"
            )
        if self.unpaced:
            found.append("--unpaced: lead and flood limits are off; use it for benchmarks only")
        host = self.admin_address()[0]
        if not is_loopback(host):
            found.append(f"the admin port listens on {host}: anyone who reaches it sees metrics and calls")
        if self.public_url.startswith("http://") and not is_loopback(
            urlsplit(self.public_url).hostname or ""
        ):
            found.append("public_url is plain http; providers open media sockets over TLS (https) only")
        if not self.vapi_webhook_secret and self.auth:
            found.append("VAPI_WEBHOOK_SECRET is not set; Vapi's webhooks (tool calls) are refused with 403")
        if "browser" in self.providers and not self._is_secure_context():
            found.append(
                "browsers lend a page their microphone over https or on localhost only; put a TLS proxy in front "
                "and give its origin as public_url"
            )
        if "vonage" in self.providers and self.auth and not self.vonage_api_key:
            found.append(
                "VONAGE_API_KEY is not set; calls signed for another account with the same secret are taken"
            )
        if dials:
            return found
        if "twilio" in self.providers and not (self.twilio_account_sid and self.twilio_auth_token):
            found.append(
                "TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set; calls cannot be hung up by REST"
            )
        if "vonage" in self.providers and not (self.vonage_application_id and self.vonage_private_key):
            found.append(
                "VONAGE_APPLICATION_ID or VONAGE_PRIVATE_KEY is not set; calls cannot be hung up by REST"
            )
        return found

    def _check_providers(self) -> None:
        if not self.providers:
            raise ConfigError(f"no provider is chosen; choose from {', '.join(PROVIDERS)}")
        for name in self.providers:
            if name not in PROVIDERS:
                raise ConfigError(f"unknown provider {name!r}; choose from {', '.join(PROVIDERS)}")
        if self.browser_secret and len(self.browser_secret.reveal()) < _MIN_SECRET:
            raise ConfigError(
                f"VAPIMEDIA_BROWSER_SECRET is too short; it needs {_MIN_SECRET} characters, as whoever guesses it can "
                "call"
            )
        if "browser" in self.providers and self.auth and not self.browser_secret and not self._is_local():
            raise ConfigError(
                "the browser provider needs VAPIMEDIA_BROWSER_SECRET, or a bridge that only this machine reaches "
                "(host 127.0.0.1, no public_url)"
            )

    def _is_local(self) -> bool:
        """Return whether nobody but this machine can reach the public port, as far as the settings tell."""
        return is_loopback(self.host) and (
            not self.public_url or is_loopback(urlsplit(self.public_url).hostname or "")
        )

    def _is_secure_context(self) -> bool:
        """Return whether browsers take the page for one that may ask for the microphone."""
        if self.public_url:
            url = urlsplit(self.public_url)
            return url.scheme == "https" or is_loopback(url.hostname or "")
        return is_loopback(self.host)

    def _check_signatures(self) -> None:
        needed = {
            "twilio": ("twilio_auth_token", "TWILIO_AUTH_TOKEN", "Twilio's signatures are checked with it"),
            "vonage": ("vonage_signature_secret", "VONAGE_SIGNATURE_SECRET", "Vonage signs with it"),
        }
        for provider, (setting, variable, why) in needed.items():
            if provider not in self.providers:
                continue
            if not getattr(self, setting):
                raise ConfigError(f"{variable} is not set; {why} (--no-auth for development)")
            if not self.public_url:
                raise ConfigError(
                    f"public_url is not set; pass --public-url with the https origin that {provider.title()} calls "
                    "(--no-auth for development)"
                )


def convert(info: msgspec.structs.FieldInfo, value: object, *, source: str, strict: bool) -> object:
    if info.type is Secret and isinstance(value, str | Secret):
        return Secret(value)
    if isinstance(value, str) and not strict:
        value = _BOOL_WORDS.get(value.lower(), value) if info.type is bool else value
    elif isinstance(value, list):
        value = [item.strip() if isinstance(item, str) else item for item in value]
    try:
        return msgspec.convert(value, info.type, strict=strict)
    except msgspec.ValidationError:
        given = "" if info.name in SECRETS | _NUMBERS else f", not {value!r}"
        where = f" (from {source})" if source else ""
        raise ConfigError(f"{info.name} must be {_describe(info.type)}{given}{where}") from None


def _describe(type_: Any) -> str:
    if type_ is bool:
        return "true or false"
    if type_ in (str, Secret) or str in get_args(type_):
        return "text"
    if get_origin(type_) is Literal:
        return "one of " + ", ".join(map(str, get_args(type_)))
    for part in (type_, *get_args(type_)):
        for meta in getattr(part, "__metadata__", ()):
            return str(meta.description)
    raise TypeError(f"a setting of type {type_} has no description")


def _split_address(name: str, text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"{name} must put an IPv6 host in brackets, like [::1]:8081, not {text!r}")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{name} must be host:port, like 127.0.0.1:8081, not {text!r}")
    return host, int(port)


def _check_host(name: str, host: str) -> None:
    if any(char.isspace() or not char.isprintable() for char in host):
        raise ConfigError(f"{name} must be a host name or an address, without spaces, not {host!r}")


def check_folder(name: str, folder: str) -> None:
    """Raise ``ConfigError`` unless files can be made in *folder*."""
    if not Path(folder).is_dir():
        raise ConfigError(f"{name}: {folder!r} is no folder; make it first, or choose another")
    try:  # permissions alone do not tell: root has all, and some file systems take no files
        file, path = tempfile.mkstemp(prefix=".vapimedia-", dir=folder)
        os.close(file)
        Path(path).unlink()
    except OSError:
        raise ConfigError(
            f"{name}: {folder!r} cannot be written to; change its permissions or choose another"
        ) from None


def _check_url(name: str, text: str, *, plain_on_loopback_only: bool = False) -> None:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if host is None or url.scheme not in {"http", "https"}:
        raise ConfigError(f"{name} must be a URL like https://host")
    if url.username is not None or url.password is not None:
        raise ConfigError(f"{name} must not hold a user name or a password")
    if url.query or url.fragment:
        raise ConfigError(f"{name} must not hold a query or a fragment")
    if plain_on_loopback_only and url.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"{name} must be https unless its host is this machine, not {text!r}")
