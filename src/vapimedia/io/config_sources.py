"""Where the settings of a bridge come from: flags, environment, a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.io.config import SECRETS, BridgeConfig, convert

__all__ = ["load_config", "suggest"]

# Variables with our prefix that are no setting of the bridge.
_OTHER_VARIABLES = frozenset(
    {"VAPIMEDIA_CONFIG", "VAPIMEDIA_LOG_LEVEL", "VAPIMEDIA_SIMD", "VAPIMEDIA_WERROR"}
)
# What Kubernetes adds for a service that happens to be named vapimedia.
_KUBERNETES = re.compile(r"VAPIMEDIA_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)\Z")
_UNPREFIXED = {
    "VAPI_API_KEY": "vapi_api_key",
    "VAPI_PUBLIC_KEY": "vapi_public_key",
    "VAPI_WEBHOOK_SECRET": "vapi_webhook_secret",
    "TWILIO_ACCOUNT_SID": "twilio_account_sid",
    "TWILIO_AUTH_TOKEN": "twilio_auth_token",
    "TWILIO_API_URL": "twilio_api_url",
    "VONAGE_API_KEY": "vonage_api_key",
    "VONAGE_APPLICATION_ID": "vonage_application_id",
    "VONAGE_PRIVATE_KEY": "vonage_private_key",
    "VONAGE_SIGNATURE_SECRET": "vonage_signature_secret",
    "VONAGE_API_URL": "vonage_api_url",
}
# Flags whose name is not that of their setting.
_FLAG_VARIABLES = {"VAPIMEDIA_PROVIDER": "providers", "VAPIMEDIA_VAPI_HOST": "vapi_hosts"}
_NEGATED = {"VAPIMEDIA_NO_AUTH": "auth", "VAPIMEDIA_NO_VAPI_WS_AUTH": "vapi_ws_auth"}


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` for the closest of *known*, or nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def load_config(
    *,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Path | None = None,
    defaults: BridgeConfig | None = None,
) -> BridgeConfig:
    """Return the settings of all sources: *flags* win over *environ* over the TOML *file* over *defaults*.

    A flag that is ``None`` and a variable that is empty count as not given. Every setting ``x`` is also the
    variable ``VAPIMEDIA_X``; secrets and API bases are known by their own names too. Raises ``ConfigError``
    naming the setting and its source; what makes sense only together is left to ``BridgeConfig.check``.
    """
    values: dict[str, object] = {}
    known = {info.name: info for info in msgspec.structs.fields(BridgeConfig)}
    if file is not None:
        for name, value in _read_toml(file).items():
            if name not in known:
                raise ConfigError(f"unknown key {name!r} in {file.name}{suggest(name, known)}")
            values[name] = convert(known[name], value, source=file.name, strict=True)
    for name, (variable, text) in _read_environment(environ, known).items():
        value = text.split(",") if _is_list(known[name]) else text
        given = convert(known[name], value, source=variable, strict=False)
        values[name] = not given if variable in _NEGATED else given
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if name not in known:
            raise ConfigError(f"unknown flag {flag}{suggest(name, known)}")
        if value is None:
            continue
        if name in SECRETS:
            raise ConfigError(f"{name} is a secret; set it in the environment or the file, not by {flag}")
        values[name] = convert(known[name], value, source=flag, strict=False)
    return msgspec.structs.replace(defaults or BridgeConfig(), **values)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {file}: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file.name} is not valid TOML: {error}") from None


def _read_environment(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the variable and its text for every setting found in *environ*."""
    by_variable = _FLAG_VARIABLES | _NEGATED | {f"VAPIMEDIA_{name.upper()}": name for name in known}
    found: dict[str, tuple[str, str]] = {}
    for variable, name in (_UNPREFIXED | by_variable).items():  # the prefixed name wins, as it comes last
        if text := environ.get(variable, "").strip():
            found[name] = variable, text
    for variable in environ:
        if not variable.startswith("VAPIMEDIA_") or variable in by_variable or variable in _OTHER_VARIABLES:
            continue
        if not _KUBERNETES.match(variable):
            raise ConfigError(
                f"unknown variable {variable!r} in the environment{suggest(variable, by_variable)}"
            )
    return found


def _is_list(info: msgspec.structs.FieldInfo) -> bool:
    return any(get_origin(part) is tuple for part in get_args(info.type))
