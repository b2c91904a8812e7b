"""The scripted assistant behind a fake Vapi's call socket: speaks, listens, is interrupted, calls tools."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any, assert_never

from vapimedia.testing import sound
from vapimedia.testing.clips import CLIPS, load_clip
from vapimedia.testing.fake_vapi_call import FakeVapiCall, Utterance
from vapimedia.testing.hearing import Heard, Hearing
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.script import (
    AssistantScript,
    AssistantStep,
    CallTool,
    EndCall,
    Pause,
    SendText,
    Speak,
    StreamBytes,
    WaitForDtmf,
    WaitForSilence,
)
from vapimedia.testing.vapi_webhooks import ToolCall, judge_tool_reply

__all__ = ["EchoAssistant", "ScriptedAssistant", "StreamingAssistant", "play"]

_PARTIAL_MS = 700.0
_SAY_MS_PER_CHAR = 60.0


async def play(
    call: FakeVapiCall, utterance: Utterance, pacing: Pacing, barge_in: asyncio.Event | None = None
) -> None:
    """Send an utterance at its pace; stop at once when *barge_in* is set. Fills *utterance*."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    utterance.started_ns = time.monotonic_ns()
    call.downlink.append(utterance)
    bytes_per_s = call.format.sample_rate * call.format.bytes_per_sample
    speed = call.settings.speed
    try:
        for due_ms, chunk in pacing.plan(utterance.planned, call.format, call.random):
            await _until(begun + due_ms / 1000 / speed, barge_in)
            sent_ns = time.monotonic_ns()
            if (barge_in is not None and barge_in.is_set()) or not await call.send_audio(chunk):
                break
            utterance.sent += chunk
            utterance.sizes.append(len(chunk))
            utterance.sent_ns.append(sent_ns)
        # However early it was sent, the assistant has spoken only when it would have been played.
        await _until(begun + len(utterance.sent) / bytes_per_s / speed, barge_in)
        utterance.interrupted = barge_in is not None and barge_in.is_set()
    finally:
        utterance.ended_ns = time.monotonic_ns()


async def _until(due: float, barge_in: asyncio.Event | None) -> None:
    delay = due - asyncio.get_running_loop().time()
    if delay <= 0:
        return
    if barge_in is None:
        await asyncio.sleep(delay)
        return
    try:
        async with asyncio.timeout(delay):
            await barge_in.wait()
    except TimeoutError:
        pass  # nobody interrupted


class EchoAssistant:
    """Send every message of the caller straight back; ``downlink`` holds one growing utterance."""

    def __init__(self, call: FakeVapiCall) -> None:
        self._call = call
        self._said = Utterance("echo", b"", started_ns=time.monotonic_ns())
        call.downlink.append(self._said)

    async def run(self) -> None:
        """Nothing to begin with."""

    async def heard(self, chunk: bytes) -> None:
        """Send it back."""
        sent_ns = time.monotonic_ns()
        if await self._call.send_audio(chunk):
            self._said.sent += chunk
            self._said.sizes.append(len(chunk))
            self._said.sent_ns.append(sent_ns)

    async def told(self, message: dict[str, Any]) -> None:
        """Control messages are recorded by the call."""


class StreamingAssistant:
    """Send given audio and hear nothing."""

    def __init__(self, call: FakeVapiCall, stream: StreamBytes) -> None:
        self._call, self._stream = call, stream

    async def run(self) -> None:
        """Send it all."""
        call, audio = self._call, self._stream.audio
        await asyncio.sleep(self._stream.delay_ms / 1000 / call.settings.speed)
        data = audio if isinstance(audio, bytes) else audio(call.format)
        await play(call, Utterance("stream", data), self._stream.pacing or call.settings.pacing)
        if self._stream.end:
            await call.end()

    async def heard(self, chunk: bytes) -> None:
        """The caller's audio is recorded by the call."""

    async def told(self, message: dict[str, Any]) -> None:
        """Control messages are recorded by the call."""


class ScriptedAssistant:
    """Play an ``AssistantScript`` and emit the events of a live assistant around it."""

    def __init__(self, call: FakeVapiCall, script: AssistantScript) -> None:
        self._call, self._script = call, script
        self._hearing = Hearing(call.format)
        self._lines = list(script.caller_lines)
        self._caller_turns: asyncio.Queue[str] = asyncio.Queue()
        self._notes: asyncio.Queue[str] = asyncio.Queue()
        self._barge_in = asyncio.Event()
        self._speaking: str | None = None  # the turn's id while it may be interrupted
        self._mouth = asyncio.Lock()  # the script and a `say` never speak at once
        self._said: set[asyncio.Task[None]] = set()
        self._turn = 0
        self._conversation: list[dict[str, str]] = []

    async def run(self) -> None:
        """Take the steps, one after the other, then go on listening."""
        try:
            for step in self._script.steps:
                await self._take(step)
            await asyncio.Event().wait()
        finally:
            for task in self._said:
                task.cancel()

    async def _take(self, step: AssistantStep) -> None:
        call = self._call
        match step:
            case Speak():
                text = CLIPS[step.clip].text
                await self._speak(step.clip, load_clip(step.clip, call.format), text, step.interruptible)
            case WaitForSilence():
                await self._wait(self._caller_turns, None, step.timeout_s)
            case WaitForDtmf():
                await self._wait(self._notes, step.digit or r"[0-9*#]", step.timeout_s)
            case CallTool():
                await self._call_tool(step)
            case Pause():
                await asyncio.sleep(step.ms / 1000 / call.settings.speed)
            case SendText():
                await call.send_text(step.text)
            case EndCall():
                await call.end(step.reason)
            case _:
                assert_never(step)

    async def _wait(self, queue: asyncio.Queue[str], pattern: str | None, timeout_s: float) -> None:
        wanted = (
            None
            if pattern is None
            else re.compile(rf"(?<!\w){pattern if '[' in pattern else re.escape(pattern)}(?!\w)")
        )
        try:
            async with asyncio.timeout(timeout_s / self._call.settings.speed):
                while True:
                    text = await queue.get()
                    if wanted is None or wanted.search(text):
                        return
        except TimeoutError:
            self._call.step_timeouts += 1

    # --- speaking ---------------------------------------------------------------------------------------

    async def _speak(self, name: str, data: bytes, text: str, interruptible: bool) -> None:
        async with self._mouth:
            call = self._call
            self._turn += 1
            turn, turn_id = self._turn, f"turn-{self._turn}"
            self._barge_in.clear()
            await call.send_event({"type": "model-output", "output": text, "turnId": turn_id})
            await call.send_event({"type": "voice-input", "input": text, "turn": turn})
            await self._speech_update("assistant", "started", turn)
            self._speaking = turn_id if interruptible else None
            utterance = Utterance(name, data)
            partials = asyncio.create_task(self._partials(text, len(data)))
            try:
                await play(call, utterance, call.settings.pacing, self._barge_in if interruptible else None)
            finally:
                self._speaking = None
                partials.cancel()
                await asyncio.gather(partials, return_exceptions=True)
            await self._speech_update("assistant", "stopped", turn)
            spoken = text
            if utterance.interrupted:
                spoken = _words(text, len(utterance.sent) / max(1, len(data)))
            await self._transcript("assistant", "final", spoken)
            await self._converse("assistant", spoken)

    async def _partials(self, text: str, n_bytes: int) -> None:
        call = self._call
        total_ms = n_bytes / call.format.bytes_per_sample / call.format.sample_rate * 1000
        at_ms = _PARTIAL_MS
        while at_ms < total_ms:
            await asyncio.sleep(_PARTIAL_MS / 1000 / call.settings.speed)
            await self._transcript("assistant", "partial", _words(text, at_ms / total_ms))
            at_ms += _PARTIAL_MS

    async def _call_tool(self, step: CallTool) -> None:
        call = self._call
        tool = ToolCall(f"call_{call.random.getrandbits(48):012x}", step.name, step.arguments)
        call.tool_calls.append(tool)
        function = {"name": step.name, "arguments": json.dumps(step.arguments)}
        asked = {"id": tool.id, "type": "function", "function": function}
        offered = {"type": "function", "async": False, "function": {"name": step.name}, "toolCall": asked}
        event = {"type": "tool-calls", "toolCallList": [asked], "toolWithToolCallList": [offered]}
        await call.send_event(event)
        post = await call.ask(event, step.timeout_s)
        if post is None:
            tool.problems.append("no server URL to ask")
        else:
            judge_tool_reply(tool, post)
        if call.settings.on_tool_reply is not None:
            call.settings.on_tool_reply(call, tool)

    # --- listening --------------------------------------------------------------------------------------

    async def heard(self, chunk: bytes) -> None:
        """Follow the caller's voice and emit what Vapi would."""
        for what in self._hearing.push(chunk):
            match what:
                case Heard.STARTED:
                    self._turn += 1
                    await self._speech_update("user", "started", self._turn)
                case Heard.INTERRUPTING:
                    await self._interrupt()
                case Heard.PARTIAL:
                    await self._transcript("user", "partial", self._line(self._hearing.speech_ms))
                case Heard.STOPPED:
                    await self._speech_update("user", "stopped", self._turn)
                    text = self._line(None)
                    self._lines = self._lines[1:]
                    await self._transcript("user", "final", text)
                    await self._converse("user", text)
                    self._caller_turns.put_nowait(text)

    async def _interrupt(self) -> None:
        if self._speaking is None:
            return
        turn_id, self._speaking = self._speaking, None
        # The flag first: not one more byte of this turn may follow the event.
        self._barge_in.set()
        self._call.interrupts_ns.append(time.monotonic_ns())
        await self._call.send_event({"type": "user-interrupted", "turnId": turn_id})

    def _line(self, speech_ms: float | None) -> str:
        name = self._lines[0] if self._lines else None
        if name is None:
            return "..."
        text = CLIPS[name].text
        total_ms = len(load_clip(name, self._call.format)) / self._call.format.frame_bytes() * 20
        return text if speech_ms is None else _words(text, speech_ms / total_ms)

    async def told(self, message: dict[str, Any]) -> None:
        """Act on ``say`` and ``add-message``."""
        if message["type"] == "add-message":
            self._notes.put_nowait(str(message["message"]["content"]))
            self._conversation.append(dict(message["message"]))
        elif message["type"] == "say":
            task = asyncio.create_task(self._say(message))
            self._said.add(task)
            task.add_done_callback(self._said.discard)

    async def _say(self, message: dict[str, Any]) -> None:
        text = message["content"]
        name = next((clip.name for clip in CLIPS.values() if clip.text == text), None)
        fmt = self._call.format
        data = sound.tone(fmt, len(text) * _SAY_MS_PER_CHAR) if name is None else load_clip(name, fmt)
        await self._speak("say", data, text, bool(message.get("interruptionsEnabled", True)))
        if message.get("endCallAfterSpoken"):
            await self._call.end("assistant-ended-call-after-message-spoken")

    # --- events -----------------------------------------------------------------------------------------

    async def _speech_update(self, role: str, status: str, turn: int) -> None:
        await self._call.send_event({"type": "speech-update", "status": status, "role": role, "turn": turn})

    async def _transcript(self, role: str, kind: str, text: str) -> None:
        event = {"type": "transcript", "role": role, "transcriptType": kind, "transcript": text}
        await self._call.send_event(event)

    async def _converse(self, role: str, text: str) -> None:
        self._conversation.append({"role": role, "content": text})
        await self._call.send_event({"type": "conversation-update", "conversation": list(self._conversation)})


def _words(text: str, share: float) -> str:
    """Return the first *share* of the words, at least one."""
    words = text.split()
    return " ".join(words[: max(1, round(len(words) * min(1.0, share)))])
