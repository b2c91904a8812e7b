"""The scripted assistant behind a fake Vapi's call socket: speaks, listens, is interrupted, calls tools."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Coroutine, Sequence
from typing import Any, assert_never

from vapimedia.testing import sound
from vapimedia.testing.clips import CLIPS, load_clip
from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.hearing import Heard, Hearing
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.script import (
    Ask,
    AssistantScript,
    AssistantStep,
    CallTool,
    CallTools,
    EndCall,
    Pause,
    SendEvent,
    SendText,
    Speak,
    SpeechTiming,
    StreamBytes,
    Transfer,
    WaitForDtmf,
    WaitForSilence,
)
from vapimedia.testing.vapi_messages import speech_timing
from vapimedia.testing.vapi_parts import Utterance

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
            said = call.as_muted(chunk)
            if (barge_in is not None and barge_in.is_set()) or not await call.send_audio(said):
                break
            utterance.sent += said
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
        chunk = self._call.as_muted(chunk)
        if await self._call.send_audio(chunk):
            self._said.sent += chunk
            self._said.sizes.append(len(chunk))
            self._said.sent_ns.append(sent_ns)

    async def told(self, message: dict[str, Any]) -> None:
        """Control messages are recorded by the call."""

    async def say(self, text: str) -> None:
        """An echo has no words of its own."""


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

    async def say(self, text: str) -> None:
        """A stream has no words of its own."""


class ScriptedAssistant:
    """Play an ``AssistantScript`` and emit the events of a live assistant around it."""

    def __init__(self, call: FakeVapiCall, script: AssistantScript) -> None:
        self._call, self._script = call, script
        self._hearing = Hearing(call.format)
        self._lines = list(script.caller_lines)
        self._caller_turns: asyncio.Queue[str] = asyncio.Queue()
        self._notes: asyncio.Queue[str] = asyncio.Queue()
        self._stop = asyncio.Event()  # what is being said ends here
        self._speaking: str | None = None  # the turn's id while it may be interrupted
        self._interrupted: str | None = None  # the last turn that the caller cut short
        self._mouth = asyncio.Lock()  # the script and a `say` never speak at once
        self._said: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def run(self) -> None:
        """Take the steps, one after the other, then go on listening."""
        started = {"name": self._script.name, "firstMessage": self._first_message()}
        try:
            await self._call.emit({"type": "assistant.started", "newAssistant": started})
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
                await self._call_tools([(step.name, step.arguments)], step.timeout_s)
            case CallTools():
                await self._call_tools(step.calls, step.timeout_s)
            case Ask():
                await call.ask(step.message)
            case Transfer():
                await call.transfer(step.destination)
            case Pause():
                await asyncio.sleep(step.ms / 1000 / call.settings.speed)
            case SendText():
                await call.send_text(step.text)
            case SendEvent():
                await call.emit(step.event)
            case EndCall():
                await call.hang_up(step.reason)
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

    async def _speak(
        self, name: str, data: bytes, text: str, interruptible: bool, source: str = "model"
    ) -> None:
        async with self._mouth:
            call = self._call
            self._turn += 1
            turn, turn_id = self._turn, f"turn-{self._turn}"
            total_ms = len(data) / call.format.bytes_per_sample / call.format.sample_rate * 1000
            self._stop.clear()
            if source == "model":
                await call.emit({"type": "model-output", "output": text, "turnId": turn_id})
            await call.emit({"type": "voice-input", "input": text, "turn": turn})
            await self._speech_update("assistant", "started", turn)
            timing = self._script.timing if source == "model" else None
            about = {"type": "assistant.speechStarted", "text": text, "turn": turn, "source": source}
            await call.emit(about | speech_timing(timing, text, total_ms, 0.0))
            self._speaking = turn_id if interruptible else None
            utterance = Utterance(name, data)
            partials = asyncio.create_task(self._partials(text, total_ms, about, timing))
            try:
                await play(call, utterance, call.settings.pacing, self._stop)
            finally:
                self._speaking = None
                partials.cancel()
                await asyncio.gather(partials, return_exceptions=True)
            if utterance.interrupted and self._interrupted != turn_id:
                await self._complete_sample(utterance)
                call.flush()
            await self._speech_update("assistant", "stopped", turn)
            share = len(utterance.sent) / max(1, len(data)) if utterance.interrupted else 1.0
            spoken = _words(text, share) if utterance.interrupted else text
            await self._transcript("assistant", "final", spoken)
            await self._converse("assistant", spoken, total_ms * share)

    async def _complete_sample(self, utterance: Utterance) -> None:
        # No event tells the bridge to forget half a sample when another `say` cuts this one off.
        done = len(utterance.sent)
        missing = utterance.planned[done : done + -done % self._call.format.bytes_per_sample]
        if missing and await self._call.send_audio(self._call.as_muted(missing)):
            utterance.sent += missing

    async def _partials(
        self, text: str, total_ms: float, about: dict[str, Any], timing: SpeechTiming | None
    ) -> None:
        at_ms = _PARTIAL_MS
        while at_ms < total_ms:
            await asyncio.sleep(_PARTIAL_MS / 1000 / self._call.settings.speed)
            await self._transcript("assistant", "partial", _words(text, at_ms / total_ms))
            if timing == "word-progress":
                await self._call.emit(about | speech_timing(timing, text, total_ms, at_ms / total_ms))
            at_ms += _PARTIAL_MS

    async def _call_tools(self, asked: Sequence[tuple[str, dict[str, Any]]], timeout_s: float | None) -> None:
        settings = self._call.settings
        tools = await self._call.request_tools(asked, spelling=settings.tool_spelling, timeout_s=timeout_s)
        if settings.on_tool_reply is not None:
            for tool in tools:
                settings.on_tool_reply(self._call, tool)

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
                    await self._converse("user", text, self._hearing.speech_ms)
                    if self._asks_endpointing():
                        self._start(self._end_turn(text))
                    else:
                        self._caller_turns.put_nowait(text)

    def _asks_endpointing(self) -> bool:
        plan = (self._call.setting("startSpeakingPlan") or {}).get("smartEndpointingPlan") or {}
        return bool(plan.get("provider") == "custom-endpointing-model")

    async def _end_turn(self, text: str) -> None:
        post = await self._call.request_endpointing()
        if not post.problems:
            await asyncio.sleep(post.json["timeoutSeconds"] / self._call.settings.speed)
        self._caller_turns.put_nowait(text)

    async def _interrupt(self) -> None:
        if self._speaking is None:
            return
        turn_id, self._speaking = self._speaking, None
        self._interrupted = turn_id
        # The flag first: not one more byte of this turn may follow the event.
        self._stop.set()
        self._call.flush()
        self._call.interrupts_ns.append(time.monotonic_ns())
        await self._call.emit({"type": "user-interrupted", "turnId": turn_id})

    def _line(self, speech_ms: float | None) -> str:
        name = self._lines[0] if self._lines else None
        if name is None:
            return "..."
        text = CLIPS[name].text
        total_ms = len(load_clip(name, self._call.format)) / self._call.format.frame_bytes() * 20
        return text if speech_ms is None else _words(text, speech_ms / total_ms)

    async def told(self, message: dict[str, Any]) -> None:
        """Act on ``say``, ``say-first-message`` and ``add-message``."""
        match message["type"]:
            case "add-message":
                inner = message["message"]
                self._notes.put_nowait(str(inner["content"]))
                self._call.conversation.add(inner["role"], inner["content"])
            case "say":
                self._start(self._say(message))
            case "control":  # the only one that gets here is say-first-message
                self._start(self.say(self._first_message()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._said.add(task)
        task.add_done_callback(self._said.discard)

    def _first_message(self) -> str:
        spoken = (CLIPS[step.clip].text for step in self._script.steps if isinstance(step, Speak))
        return str(self._call.setting("firstMessage") or next(spoken, "Hello."))

    async def say(self, text: str) -> None:
        """Speak *text*: the clip with these words, or a tone as long as they take."""
        await self._say({"content": text})

    async def _say(self, message: dict[str, Any]) -> None:
        text = message["content"] if "content" in message else message["message"]
        name = next((clip.name for clip in CLIPS.values() if clip.text == text), None)
        fmt = self._call.format
        data = sound.tone(fmt, len(text) * _SAY_MS_PER_CHAR) if name is None else load_clip(name, fmt)
        if message.get("interruptAssistantEnabled"):
            self._stop.set()
        await self._speak("say", data, text, bool(message.get("interruptionsEnabled", True)), "force-say")
        if message.get("endCallAfterSpoken"):
            await self._call.hang_up("assistant-ended-call-after-message-spoken")

    # --- events -----------------------------------------------------------------------------------------

    async def _speech_update(self, role: str, status: str, turn: int) -> None:
        await self._call.emit({"type": "speech-update", "status": status, "role": role, "turn": turn})

    async def _transcript(self, role: str, kind: str, text: str) -> None:
        event = {"type": "transcript", "role": role, "transcriptType": kind, "transcript": text}
        await self._call.emit(event)

    async def _converse(self, role: str, text: str, duration_ms: float) -> None:
        conversation = self._call.conversation
        conversation.add(role, text, duration_ms)
        event = {"type": "conversation-update", "conversation": list(conversation.formatted)}
        await self._call.emit(event | conversation.history())


def _words(text: str, share: float) -> str:
    """Return the first *share* of the words, at least one."""
    words = text.split()
    return " ".join(words[: max(1, round(len(words) * min(1.0, share)))])
