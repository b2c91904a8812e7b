"""The other end of an ordinary phone call of the fake Vapi: rings, answers, speaks and hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from vapimedia.testing.caller import CallerStep, WaitForAssistant, default_caller, play_caller
from vapimedia.testing.ear import Ear
from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.script import AssistantScript, EndCall, Pause, default_script

__all__ = ["Callee", "PhoneLine", "long_dialogue"]

_TICK_S = 0.02
_QUEUED_S = 0.05
_BETWEEN_ROUNDS_MS = 2000
_UNANSWERED = {
    "busy": "customer-busy",
    "no-answer": "customer-did-not-answer",
    "failed": "twilio-failed-to-connect-call",
}


@dataclass(frozen=True)
class Callee:
    """Who is called: picks up after *ring_s* (``None``: when ``call.answer()`` says so), then says *caller*."""

    caller: Sequence[CallerStep] = field(default_factory=default_caller)
    ring_s: float | None = 0.3
    outcome: Literal["answered", "busy", "no-answer", "failed"] = "answered"


def long_dialogue(n_rounds: int = 40) -> tuple[AssistantScript, tuple[CallerStep, ...]]:
    """Return the demo dialogue, again and again: a call of some 20 minutes, to listen to and to control."""
    said = default_script().steps[:-2]  # neither the last pause nor the end
    script = AssistantScript((*said, Pause(_BETWEEN_ROUNDS_MS)) * n_rounds + (EndCall(),))
    return script, (*default_caller(), WaitForAssistant()) * n_rounds


class PhoneLine:
    """The line of one call, between the assistant and the customer; ``ear`` is the customer's."""

    def __init__(self, call: FakeVapiCall, callee: Callee) -> None:
        self._call, self._callee = call, callee
        self._over = asyncio.Event()
        self.ear = Ear(call.format, buffer_ms=None)

    async def run(self) -> None:
        """Live through the whole call."""
        call, callee, speed = self._call, self._callee, self._call.settings.speed
        try:
            await asyncio.sleep(_QUEUED_S / speed)
            if call.ended_reason is None:
                call.ring()
            ring_s = None if callee.ring_s is None else callee.ring_s / speed
            picked_up = await call.answered(ring_s)
            if not picked_up and callee.outcome != "answered":
                call.close_with(_UNANSWERED[callee.outcome], "vapi")
            if call.ended_reason is None:
                await self._talk()
        finally:
            call.finish()

    async def _talk(self) -> None:
        call = self._call
        await call.begin(self)
        assistant = None if call.assistant is None else asyncio.create_task(call.assistant.run())
        try:
            await self._tick()
        finally:
            if assistant is not None:
                assistant.cancel()
                await asyncio.gather(assistant, return_exceptions=True)

    async def _tick(self) -> None:
        call, loop = self._call, asyncio.get_running_loop()
        begun = loop.time()
        for n_ticks, tick in enumerate(play_caller(self._callee.caller, self.ear, call.format)):
            # The clock is absolute: a late wake-up is made up for.
            await asyncio.sleep(max(0.0, begun + n_ticks * _TICK_S / call.settings.speed - loop.time()))
            if self._over.is_set():
                return
            call.step_timeouts += tick.timed_out
            self.ear.tick(time.monotonic_ns())
            await call.hear(tick.audio)
            if tick.digit is not None and call.assistant is not None:
                text = f"The caller pressed {tick.digit}."
                await call.assistant.told(
                    {"type": "add-message", "message": {"role": "system", "content": text}}
                )
            if tick.hang_up:
                call.close_with("customer-ended-call", "peer")
                return

    async def send_text(self, text: str) -> bool:
        """A phone hears no texts."""
        return True

    async def send_audio(self, chunk: bytes) -> bool:
        """Play it into the customer's ear."""
        if self._over.is_set():
            return False
        self._call.monitor("assistant", chunk)
        return self.ear.media(chunk)

    def flush(self) -> None:
        """Drop what has not been heard."""
        self.ear.clear(time.monotonic_ns())

    async def close(self, code: int) -> None:
        """Put the phone down."""
        self._over.set()

    def abort(self) -> None:
        """Put the phone down."""
        self._over.set()
