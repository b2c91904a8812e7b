"""``--fault`` of ``vapimedia fake``: spellings into faults, and what is said of them after the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vapimedia.testing import (
        FakeTwilioCall,
        FakeVapi,
        FakeVonageCall,
        Fault,
        Pacing,
        PhoneFaults,
        VapiFaults,
    )

__all__ = ["Faults", "broken_by", "coped", "phone_faults", "told", "told_of_vapi"]
__all__ += ["vapi_faults"]

_HANG_UP_S = 5.0
# Network kinds that end a call; the others only make it hard.
_BREAKING = ("reset", "cut", "half-open", "refuse")

Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="KIND[=VALUE][@TIME]",
        help="What goes wrong, reset@12s for one; may repeat. A wrong one lists all.",
    ),
]


def phone_faults(texts: Sequence[str], *, says_stop: bool) -> PhoneFaults:
    """Return what *texts* spell for a phone. Raises ``ConfigError`` with the spellings."""
    from vapimedia.testing import PhoneFaults, parse_fault  # noqa: PLC0415  loads aiohttp
    from vapimedia.testing.fault import NETWORK_KINDS, PHONE_KINDS, STOP_KINDS  # noqa: PLC0415

    kinds = NETWORK_KINDS | PHONE_KINDS | (STOP_KINDS if says_stop else {})
    network: list[Fault] = []
    found: dict[str, Any] = {}
    for fault in (parse_fault(text, kinds) for text in texts):
        if fault.kind in NETWORK_KINDS:
            network.append(fault)
            continue
        match fault.kind:
            case "stop-reading":
                network.append(_stall(fault, "down"))
            case "late-start":
                found["late_start_s"] = fault.value
            case "second-start":
                found["second_start_after_s"] = fault.at_s
            case "hang-up":
                found["hang_up_after_s"] = fault.at_s
            case "flood":
                found |= {"flood": fault.value, "flood_after_s": fault.at_s}
            case "sizes":
                found["sizes"] = _sizes(fault)
            case "stop-twice" | "media-after-stop":
                value = True if fault.value is None else fault.value
                found |= {_field(fault.kind): value, "hang_up_after_s": fault.at_s or _HANG_UP_S}
            case _:
                found[_field(fault.kind)] = True if fault.value is None else fault.value
    return PhoneFaults(**found, network=tuple(network))


def vapi_faults(texts: Sequence[str]) -> tuple[VapiFaults, Pacing | None]:
    """Return what *texts* spell for a fake Vapi. Raises ``ConfigError`` with the spellings."""
    from vapimedia.testing import Pacing, VapiFaults, parse_fault  # noqa: PLC0415  loads aiohttp
    from vapimedia.testing.fault import NETWORK_KINDS, VAPI_KINDS  # noqa: PLC0415

    faults = VapiFaults()
    sizes: tuple[int, ...] = ()
    for fault in (parse_fault(text, NETWORK_KINDS | VAPI_KINDS) for text in texts):
        match fault.kind:
            case "create":
                status: Any = fault.value if fault.value == "hang" else int(str(fault.value))
                faults.create_statuses += (status,)
            case "create-slow":
                faults.create_delay_s = fault.number
            case "retry-after":
                faults.retry_after_s = round(fault.number)
            case "webhook-slow":
                faults.webhook_delay_s = fault.number
            case "late-socket":
                faults.upgrade_delay_s = fault.number
            case "upgrade":
                faults.upgrade_status = int(fault.number)
            case "close":
                faults.close_after_s, faults.close_code = fault.at_s, int(fault.number)
            case "garbage":
                faults.garbage = True
            case "odd-bytes":
                sizes = (641, 639, 1281)
            case "sizes":
                sizes = _sizes(fault)
            case "stop-reading":
                faults.network += (_stall(fault, "up"),)
            case _:
                faults.network += (fault,)
    return faults, Pacing.irregular(chunk_bytes=sizes) if sizes else None


def broken_by(call: FakeTwilioCall | FakeVonageCall) -> str | None:
    """Return the kind of fault that broke the media connection, if one did."""
    proxy = call.media_proxy
    return proxy.connections[0].broken_by if proxy is not None and proxy.connections else None


def told(call: FakeTwilioCall | FakeVonageCall, texts: Sequence[str]) -> list[str]:
    """Return what was injected, and how the call ended, in two lines."""
    lasted_s = (call.ended_ns - call.started_ns) / 1e9 if call.ended_ns else 0.0
    broken = broken_by(call)
    said = []
    for text in texts:
        one = phone_faults([text], says_stop=True)
        if one.network:
            [fault] = one.network
            is_breaking = fault.kind in _BREAKING
            is_done = broken == fault.kind if is_breaking else fault.at_s <= lasted_s
            said.append(text if is_done else f"{text} (not reached)")
            continue
        n_done = sum(call.injected[name] for name in _FIELDS_OF.get(text.split("=")[0].split("@")[0], ()))
        said.append(
            text if n_done == 1 else f"{text} ({n_done} times)" if n_done else f"{text} (not reached)"
        )
    if broken == "refuse":
        end = "the media connection was refused, as asked"
    elif broken in {"reset", "cut"}:
        end = f"the connection broke after {lasted_s:.1f} s, as asked"
    elif call.ended_by == "bridge":
        how = "it closed the half-open connection" if broken else f"close code {call.close_code}"
        end = f"the bridge ended the call after {lasted_s:.1f} s: {how}"
    else:
        end = f"the call ended after {lasted_s:.1f} s by {call.ended_by}"
    return [f"injected: {', '.join(said)}", end]


def told_of_vapi(vapi: FakeVapi, texts: Sequence[str]) -> list[str]:
    """Return what was injected into a fake Vapi that has closed, and how its calls ended."""
    if not texts:
        return []
    refused = [str(one.status or "no answer") for one in vapi.requests if one.status != 201]
    proxy = vapi.socket_proxy
    broken = [one.broken_by for one in proxy.connections if one.broken_by] if proxy is not None else []
    lines = [f"injected: {', '.join(texts)}"]
    if refused:
        lines.append(f"POST /call got {', '.join(refused)}")
    if broken:
        lines.append(f"call sockets broke, as asked: {', '.join(broken)}")
    for call in vapi.calls.values():
        code = "" if call.close_code is None else f", close code {call.close_code}"
        lines.append(f"{call.id[:8]}  ended by {_SIDES.get(call.closed_by or '', 'nobody')}{code}")
    return lines


_SIDES = {"peer": "the bridge or the path to it", "vapi": "the fake", "dropped": "a fault"}


def coped(call: FakeTwilioCall | FakeVonageCall, *, listens: bool) -> list[str]:
    """Return why the bridge did not cope with the faults of a call that it took, in one sentence or none."""
    faults, broken = call.faults, broken_by(call)
    if call.ended_by == "timeout" and not listens:
        if broken == "half-open":
            return [
                f"the bridge kept its side of a half-open connection, to the end of {call.max_s:g} s (--max-s)"
            ]
        if faults.no_start:
            return [f"the bridge waited {call.max_s:g} s (--max-s) for a start that did not come"]
        return [f"nobody ended the call: it was cut after {call.max_s:g} s (--max-s)"]
    is_deaf = any(one.kind == "stall" and one.direction != "up" for one in faults.network)
    # A close frame does not come through to who does not read.
    if call.ended_by == "bridge" and call.close_code == 1006 and not broken and not is_deaf:
        return ["the bridge dropped the call without a close frame; the bridge's log says why"]
    return []


_FIELDS_OF = {
    "late-start": ("late_start_s",),
    "no-start": ("no_start",),
    "early-media": ("early_media",),
    "second-start": ("second_start_after_s",),
    "wrong-rate": ("wrong_rate",),
    "flood": ("flood",),
    "duplicate": ("duplicate",),
    "reorder": ("reorder",),
    "sizes": ("sizes",),
    "odd-bytes": ("odd_bytes",),
    "hang-up": ("hang_up_after_s",),
    "stop-twice": ("stop_twice",),
    "media-after-stop": ("media_after_stop",),
}


def _field(kind: str) -> str:
    return kind.replace("-", "_")


def _stall(fault: Fault, direction: Any) -> Fault:
    return replace(fault, kind="stall", direction=direction)


def _sizes(fault: Fault) -> tuple[int, ...]:
    return tuple(int(size) for size in str(fault.value).split(","))
