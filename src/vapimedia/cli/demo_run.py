"""The demo's call: fakes here, the bridge in its own process, real signatures and tokens, a verdict."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vapimedia.cli.demo_align import Payload
from vapimedia.cli.demo_clock import stalls, waiting_since
from vapimedia.cli.demo_compare import Excuses, Spoken, excuses_for, judge_downlink, judge_uplink
from vapimedia.cli.demo_judge import Delivery, Figures, judge
from vapimedia.cli.demo_legs import Leg
from vapimedia.cli.demo_lines import Moment, Result
from vapimedia.cli.demo_phones import PUBLIC_URL, Phone, phone_trouble, stage
from vapimedia.cli.demo_process import BridgeProcess
from vapimedia.formats import AudioFormat
from vapimedia.io.config import BridgeConfig
from vapimedia.testing import CLIPS, FakeVapi, FakeVapiCall, default_script, load_clip

__all__ = ["Demo", "run_demo"]

READ_LATE_MS = 30.0  # the caller's ticks are 20 ms apart, a page's chunks 43, which does no harm


class Demo(NamedTuple):
    """What a demo leaves: its figures, and what either side heard."""

    figures: Figures
    caller_heard: bytes
    assistant_heard: bytes
    vapi_format: AudioFormat


async def run_demo(
    leg: Leg, vapi_format: AudioFormat | None, *, speed: float, on_moment: Callable[[Moment], None]
) -> Demo:
    """Run one call of the default dialogue. Raises ``VapimediaError`` when it cannot even be started.

    Without a *vapi_format* the bridge picks one. A *speed* above 1 divides every interval; the bridge's limits
    for real time are lifted then.
    """
    agreed = vapi_format or leg.auto_format
    for name in CLIPS:  # what is converted during the call holds up both fakes
        load_clip(name, leg.format)
        load_clip(name, agreed)
    api_key, webhook_secret = (secrets.token_hex(16) for _ in range(2))
    async with (
        stage(leg, speed) as provider,
        FakeVapi(
            api_key=api_key,
            assistant=default_script(),
            require_ws_bearer=True,
            speed=speed,
            server_secret=webhook_secret,
        ) as vapi,
    ):
        settings = BridgeConfig(
            port=0,
            admin="127.0.0.1:0",
            providers=(leg.provider,),
            vapi_url=vapi.url,
            vapi_api_key=api_key,
            vapi_webhook_secret=webhook_secret,
            vapi_format="auto" if vapi_format is None else str(vapi_format),
            assistant_id="asst_demo",
            public_url=PUBLIC_URL,
            unpaced=speed != 1.0,
            **provider.settings,
        )
        async with BridgeProcess(settings, on_moment) as bridge:
            origin = f"http://127.0.0.1:{bridge.port}"
            vapi.server_url = f"{origin}/vapi/webhook"
            phone = provider.phone(origin)
            await phone.run()
            calls = list(vapi.calls.values())
            await asyncio.gather(*(call.ended() for call in calls), return_exceptions=True)
            result = await bridge.finish()
    figures = _figures(
        leg, phone, calls, result, vapi_format=agreed, prebuffer_ms=settings.prebuffer_ms, speed=speed
    )
    heard = bytes(calls[0].uplink) if calls else b""
    return Demo(figures, phone.heard, heard, agreed)


def _figures(
    leg: Leg,
    phone: Phone,
    calls: Sequence[FakeVapiCall],
    result: Result,
    *,
    vapi_format: AudioFormat,
    prebuffer_ms: int,
    speed: float,
) -> Figures:
    call = calls[0] if calls else None
    spoken = [
        Spoken(
            bytes(one.sent),
            list(zip(one.sent_ns, one.sizes, strict=True)),
            one.started_ns,
            one.ended_ns,
            one.interrupted,
        )
        for one in (call.downlink if call else [])
    ]
    uplink = judge_uplink(
        bytes(phone.sent),
        bytes(call.uplink) if call is not None else b"",
        leg_format=leg.format,
        vapi_format=vapi_format,
        excuses=_excuses(phone, call, result),
    )
    downlink = judge_downlink(
        spoken,
        _payloads(phone),
        vapi_format=vapi_format,
        leg_format=leg.format,
        exact_frames=leg.exact_frames,
        speed=speed,
        cushion_ms=prebuffer_ms,
    )
    return judge(
        result,
        uplink,
        downlink,
        leg=leg,
        delivery=_delivery(leg, phone),
        barge_ins_ms=[
            _barge_in_ms(phone, at_ns) for at_ns in (call.interrupts_ns if call is not None else [])
        ],
        vapi_format=vapi_format,
        speed=speed,
        gaps_heard=len(phone.ear.gaps_inside([one.started_ns for one in spoken])),
        prebuffer_ms=prebuffer_ms,
        trouble=phone_trouble(phone, leg) + _vapi_trouble(phone, calls, vapi_format),
    )


def _delivery(leg: Leg, phone: Phone) -> Delivery:
    if not leg.exact_frames:
        return Delivery()
    n_frame = leg.format.frame_bytes()
    # The one that drops the leg is not among those received.
    n_wrong = sum(size != n_frame for size in phone.payload_sizes) + getattr(phone, "wrong_size_messages", 0)
    return Delivery(n_wrong, phone.ear.max_queued_messages)


def _barge_in_ms(phone: Phone, interrupted_ns: int) -> float | None:
    """Return the time from Vapi's event to silence in the caller's ear."""
    silent_ns = phone.ear.silent_since_ns(interrupted_ns)
    return None if silent_ns is None else (silent_ns - interrupted_ns) / 1e6


def _payloads(phone: Phone) -> list[Payload]:
    found, at = [], 0
    held_up = stalls(phone.ear.tick_ns, READ_LATE_MS)
    for n_bytes, received_ns in zip(phone.payload_sizes, phone.received_ns, strict=True):
        data = bytes(phone.received[at : at + n_bytes])
        found.append(Payload(data, received_ns, waiting_since(received_ns, held_up)))
        at += n_bytes
    return found


def _excuses(phone: Phone, call: FakeVapiCall | None, result: Result) -> Excuses:
    paths = [summary.uplink for summary in result.summaries if summary.uplink is not None]
    repaid_ms = sum(path.repaid_silence_ms for path in paths)
    if call is None:
        return Excuses()
    return excuses_for(phone.ear.tick_ns, call.connected_ns, call.ended_ns, repaid_ms=repaid_ms)


def _vapi_trouble(phone: Phone, calls: Sequence[FakeVapiCall], vapi_format: AudioFormat) -> list[str]:
    """Return what Vapi's side did not like, in sentences."""
    if len(calls) != 1:
        return [f"Vapi was asked for {len(calls)} calls instead of 1"]
    call = calls[0]
    found = [f"Vapi's side: {text}" for text in call.violations]
    if call.format != vapi_format:
        found.append(f"Vapi was asked for {call.format} instead of {vapi_format}")
    for tool in call.tool_calls:
        found += [f"tool call {tool.name}: {text}" for text in tool.problems]
        found += [f"tool call {tool.name} answered with an error"] if tool.error is not None else []
    found += [
        f"webhook {post.type} got {post.status}" for post in call.webhooks if not 200 <= post.status < 300
    ]
    if not call.tool_calls:
        found.append("the assistant never called its tool")
    if phone.step_timeouts or call.step_timeouts:
        found.append("the dialogue stalled: a side waited in vain for the other")
    if call.ended_reason != "assistant-ended-call":
        found.append(f"Vapi's leg ended by {call.ended_reason} instead of by the assistant")
    return found
