"""The demo's call: fakes here, the bridge in its own process, real signatures and tokens, a verdict."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from vapimedia.cli.demo_judge import Figures, Payload, Spoken, judge, judge_downlink, judge_uplink
from vapimedia.cli.demo_lines import Moment, Result
from vapimedia.cli.demo_process import BridgeProcess
from vapimedia.formats import AudioFormat
from vapimedia.io.config import BridgeConfig
from vapimedia.testing import (
    CallerStep,
    FakeTwilioApi,
    FakeTwilioCall,
    FakeVapi,
    FakeVapiCall,
    Interrupt,
    default_caller,
    default_script,
)

__all__ = ["Demo", "run_demo"]

PUBLIC_URL = "https://demo.vapimedia.example"
"""What Twilio would call; signatures are made over it while the sockets are on loopback."""
ACCOUNT_SID = "AC" + "0" * 31 + "1"
MAX_CALL_S = 90.0
INTERRUPT_AFTER_MS = 5800.0


class Demo(NamedTuple):
    """What a demo leaves: its figures, and what either side heard."""

    figures: Figures
    caller_heard: bytes
    assistant_heard: bytes
    vapi_format: AudioFormat


async def run_demo(vapi_format: AudioFormat, *, speed: float, on_moment: Callable[[Moment], None]) -> Demo:
    """Run one call of the default dialogue. Raises ``VapimediaError`` when it cannot even be started.

    A *speed* above 1 divides every interval; the bridge's limits for real time are lifted then.
    """
    api_key, auth_token, webhook_secret = (secrets.token_hex(16) for _ in range(3))
    async with (
        FakeTwilioApi(account_sid=ACCOUNT_SID, auth_token=auth_token) as twilio,
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
            vapi_url=vapi.url,
            vapi_api_key=api_key,
            vapi_webhook_secret=webhook_secret,
            vapi_format=str(vapi_format),
            assistant_id="asst_demo",
            public_url=PUBLIC_URL,
            twilio_account_sid=ACCOUNT_SID,
            twilio_auth_token=auth_token,
            twilio_api_url=twilio.url,
            unpaced=speed != 1.0,
        )
        async with BridgeProcess(settings, on_moment) as bridge:
            origin = f"http://127.0.0.1:{bridge.port}"
            vapi.server_url = f"{origin}/vapi/webhook"
            phone = FakeTwilioCall(
                f"{origin}/twilio/voice",
                auth_token=auth_token,
                account_sid=ACCOUNT_SID,
                public_url=PUBLIC_URL,
                status_url=f"{origin}/twilio/status",
                caller=_patient(default_caller()),
                speed=speed,
                max_s=MAX_CALL_S,
            )
            twilio.register(phone)
            await phone.run()
            calls = list(vapi.calls.values())
            await asyncio.gather(*(call.ended() for call in calls), return_exceptions=True)
            result = await bridge.finish()
    figures = _figures(phone, calls, result, settings=settings, speed=speed)
    heard = bytes(calls[0].uplink) if calls else b""
    return Demo(figures, phone.heard, heard, vapi_format)


def _patient(caller: Sequence[CallerStep]) -> list[CallerStep]:
    """Let the caller listen longer before interrupting: the call is to last 20 seconds."""
    return [
        replace(step, after_ms=INTERRUPT_AFTER_MS) if isinstance(step, Interrupt) else step for step in caller
    ]


def _figures(
    phone: FakeTwilioCall,
    calls: Sequence[FakeVapiCall],
    result: Result,
    *,
    settings: BridgeConfig,
    speed: float,
) -> Figures:
    vapi_format = AudioFormat.parse(settings.vapi_format)
    call = calls[0] if calls else None
    spoken = [
        Spoken(bytes(one.sent), one.started_ns, one.interrupted) for one in (call.downlink if call else [])
    ]
    payloads, at = [], 0
    for n_bytes, received_ns in zip(phone.payload_sizes, phone.received_ns, strict=True):
        payloads.append(Payload(bytes(phone.received[at : at + n_bytes]), received_ns))
        at += n_bytes
    uplink = bytes(call.uplink) if call is not None else b""
    return judge(
        result,
        judge_uplink(bytes(phone.sent), uplink, vapi_format, _silence_excused(phone, call, result)),
        judge_downlink(spoken, payloads, vapi_format),
        barge_ins_ms=[
            _barge_in_ms(phone, at_ns) for at_ns in (call.interrupts_ns if call is not None else [])
        ],
        vapi_format=vapi_format,
        speed=speed,
        gaps_heard=phone.ear.underruns,
        prebuffer_ms=settings.prebuffer_ms,
        trouble=_trouble(phone, calls),
    )


def _barge_in_ms(phone: FakeTwilioCall, interrupted_ns: int) -> float | None:
    """Return the time from Vapi's event to silence in the caller's ear."""
    silent_ns = phone.ear.silent_since_ns(interrupted_ns)
    return None if silent_ns is None else (silent_ns - interrupted_ns) / 1e6


def _silence_excused(phone: FakeTwilioCall, call: FakeVapiCall | None, result: Result) -> int:
    """Return how many silent frames may be missing: repaid ones, and those sent when Vapi had hung up."""
    paths = [summary.uplink for summary in result.summaries if summary.uplink is not None]
    n_repaid = sum(round(path.repaid_silence_ms / 20) for path in paths)
    last_ns = call.uplink_messages[-1][0] if call is not None and call.uplink_messages else 0
    n_after = sum(tick_ns > last_ns for tick_ns in phone.ear.tick_ns)
    return n_repaid + n_after + 1  # a frame may be under way at the end


def _trouble(phone: FakeTwilioCall, calls: Sequence[FakeVapiCall]) -> list[str]:
    """Return what the fakes did not like, in sentences."""
    found = [f"Twilio's side: {text}" for text in phone.violations]
    if phone.voice_status != 200 or phone.upgrade_status != 101:
        found.append(f"no media stream: webhook {phone.voice_status}, upgrade {phone.upgrade_status}")
    if len(calls) != 1:
        return [*found, f"Vapi was asked for {len(calls)} calls instead of 1"]
    call = calls[0]
    found += [f"Vapi's side: {text}" for text in call.violations]
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
    if phone.close_code is None:
        found.append("the media socket was left open")
    return found
