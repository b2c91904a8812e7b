"""What both legs of one call share: its state, its two paths, its figures, and its one end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, MediaPath, PlayoutPath, PlayoutPolicy, ReorderPath
from vapimedia.protocols.commands import CloseSocket, Command, SendBinary, SendText
from vapimedia.protocols.dialect import Dialect
from vapimedia.protocols.events import Started
from vapimedia.session.config import SessionConfig
from vapimedia.session.events import Actions, CallEnded, CallSummary, EndReason
from vapimedia.session.goodbye import Goodbye
from vapimedia.session.lifecycle import (
    END_RULES,
    FAR_ENDS,
    STATES,
    Forwarding,
    Leg,
    State,
    Step,
    VapiCall,
    phone_commands,
    vapi_commands,
)
from vapimedia.session.marks import Marks
from vapimedia.session.watch import NS_PER_MS, Deadlines, Health

__all__ = ["CallCore", "sends"]

# What waits for a provider that does not read is at most 200 ms late, the frame that is being made included.
_MAX_LATE_MS = 180
# How long the provider's answer to a forward is waited for once its stream has stopped.
_STOPPED_NS = 2_000 * NS_PER_MS


class CallCore:
    """The shared part of a call. Only ``end`` ends it, and only once."""

    def __init__(self, dialect: Dialect, config: SessionConfig, now_ns: int, vapi_call_id: str) -> None:
        leg_format = dialect.leg_format.audio_format
        if leg_format is None:
            raise ConfigError(
                f"{dialect.name} is set to {dialect.leg_format.codec!r} at {dialect.leg_format.sample_rate} Hz, "
                f"which no kernel reads; choose mulaw, alaw or pcm_s16le, mono and little-endian"
            )
        self.dialect = dialect
        self.config = config
        self.leg_format = leg_format
        self.uplink, self.downlink = _paths(dialect, config, leg_format)
        self.state = State.WAITING
        self.provider, self.vapi = Leg.UNOPENED, Leg.UNOPENED
        self.provider_is_over = False
        """The provider ended the stream or the call by itself: there is nothing to hang up."""
        self.vapi_call = VapiCall(call_id=vapi_call_id)
        self.started: Started | None = None
        self.counters: Counter[str] = Counter()
        self.n_barge_ins = 0
        self.marks = Marks(config.mark_interval_ms)
        self.goodbye: Goodbye | None = None
        self.forwarding: Forwarding | None = None
        self.deadlines = Deadlines()
        self.expect_media(now_ns, config.ring_ms)
        self.health = Health(config.idle_timeout_ms, config.max_bad_in_a_row)
        self._created_ns = now_ns
        self._started_ns: int | None = None
        self._summary: CallSummary | None = None

    def step(self, step: Step) -> None:
        """Go where the table of states leads; stay where it does not."""
        self.state = STATES[self.state].get(step, self.state)

    def expect_media(self, now_ns: int, ring_ms: int = 0) -> None:
        """The provider's socket must come in time, counted from when the call has rung for *ring_ms*."""
        if self.config.media_timeout_ms:
            self.deadlines.arm("media_timeout", now_ns, self.config.media_timeout_ms + ring_ms)

    def start(self, event: Started, now_ns: int) -> None:
        """The provider's stream runs."""
        self.started, self._started_ns = event, now_ns
        self.deadlines.disarm("start_timeout")
        self.health.start(now_ns)

    def check_ready(self) -> None:
        """Go live once both legs are there."""
        if self.started is not None and self.vapi is Leg.OPEN:
            self.step(Step.LEGS_READY)

    def next_mark(self, position_ms: float | None = None) -> SendText | None:
        """Return a mark for what was sent so far, or up to *position_ms*, if it tells anything new."""
        if self.started is None or not self.dialect.caps.marks:
            return None
        path = self.downlink
        name = self.marks.next_name(path.sent_ms if position_ms is None else position_ms, path.generation)
        return self.dialect.mark(name) if name is not None else None

    def plays(self, messages: list[bytes]) -> list[Command]:
        """Return the commands that send what the downlink gave out, and a mark wherever one is due on the way."""
        path, commands = self.downlink, sends(self.downlink, messages)
        if len(messages) < 2 or not self.marks.due(path.sent_ms):
            return commands
        lengths_ms = [path.message_ms(message) for message in messages]
        position_ms = path.sent_ms - sum(lengths_ms)
        marked: list[Command] = []
        for command, length_ms in zip(commands, lengths_ms, strict=True):
            marked.append(command)
            position_ms += length_ms
            mark = self.next_mark(position_ms) if self.marks.due(position_ms) else None
            if mark is not None:
                marked.append(mark)
        return marked

    def next_tick_ns(self, now_ns: int, *, with_paths: bool) -> int | None:
        """Return the earliest moment at which time alone changes something."""
        if self.state is State.ENDED:
            return None
        moments: list[int | None] = list(self.deadlines.at_ns.values())
        if self.forwarding is not None:
            moments.append(self.forwarding.due_ns)
        if not self.waits_for_forward:
            moments.append(self.goodbye.next_ns if self.goodbye is not None else self.health.next_check_ns)
        if with_paths:
            moments += [self.downlink.next_due_ns, self.uplink.next_due_ns]
        due_ns = min((moment for moment in moments if moment is not None), default=None)
        return max(due_ns, now_ns) if due_ns is not None else None

    def say_goodbye(self, detail: str, now_ns: int, actions: Actions) -> None:
        """Close Vapi's leg, which has ended the call, and let the caller hear what was already said."""
        self.step(Step.GOODBYE)
        self.goodbye = Goodbye(detail, now_ns + self.config.goodbye_ms * NS_PER_MS)
        self._leave_vapi(1000, now_ns, actions)

    def go_on_with_goodbye(self, now_ns: int, actions: Actions) -> None:
        """Look whether the caller has heard everything; then end."""
        goodbye = self.goodbye
        if goodbye is None or self.state is State.ENDED or self.waits_for_forward:
            return
        if self.downlink.unsent_ms > 0:
            # The phone leg is paced or does not read: whatever was marked before is not the last word.
            goodbye.is_marked, goodbye.last_mark = False, None
        elif not goodbye.is_marked:
            mark = self.next_mark()
            if mark is not None:
                actions.to_provider.append(mark)
            # Not so while too many marks are on their way already; then later.
            if self.marks.marked_ms >= self.downlink.sent_ms:
                goodbye.is_marked = True
                goodbye.last_mark = next(reversed(self.marks.outstanding), None)
        if goodbye.is_over(self.downlink.queued_ms(now_ns), self.marks.outstanding, now_ns):
            self.end("vapi_ended", goodbye.detail, now_ns, actions)

    def end(
        self,
        reason: EndReason,
        detail: str,
        now_ns: int,
        actions: Actions,
        *,
        provider_code: int | None = None,
        vapi_code: int | None = None,
    ) -> None:
        """End both legs. During a goodbye the cause stays Vapi's, whatever cuts it short (except a drain).

        While the provider is asked to forward the call, a leg's own end waits for the answer.
        """
        if self.state is State.ENDED or self._is_left_to_forward(reason, detail, now_ns, actions):
            return
        if self.goodbye is not None and reason not in ("drain", "forwarded"):
            reason, detail = "vapi_ended", self.goodbye.detail
        rule = END_RULES[reason]
        goes_on = rule.without_vapi and self.config.on_vapi_lost == "continue"
        release = self.provider_is_over or goes_on or rule.releases
        plan: Sequence[Command] = [CloseSocket()] if release else self.dialect.hangup()
        if self.forwarding is not None and not self.provider_is_over:
            # Whatever ends our part now, the phone call is the provider's.
            asked = self.forwarding.is_asked
            plan = [*(() if asked else self.forwarding.request), *self.forwarding.release]
        self._leave_vapi(vapi_code or rule.vapi_code, now_ns, actions)
        actions.to_provider += phone_commands(plan, self.provider, provider_code or rule.provider_code)
        self.step(Step.END)
        self.provider = Leg.CLOSED
        self.downlink.close()
        self._summary = self._summarise(now_ns, reason)
        actions.events.append(CallEnded(reason, detail, self._summary))

    @property
    def waits_for_forward(self) -> bool:
        """Whether a leg is over and only the provider's answer to a forward says what that means."""
        return self.forwarding is not None and self.forwarding.end is not None

    def _is_left_to_forward(self, reason: EndReason, detail: str, now_ns: int, actions: Actions) -> bool:
        """Keep an end that a forward may have caused until that is known; return whether it is kept.

        The assistant leaves at once: the caller is gone, or it is.
        """
        forwarding = self.forwarding
        if forwarding is None or reason not in FAR_ENDS:
            return False
        if self.provider_is_over and not forwarding.is_asked:
            return False  # the caller has hung up: there is nothing to forward
        if forwarding.end is None:
            forwarding.end = reason, detail
            self.step(Step.GOODBYE)
        self._leave_vapi(1000, now_ns, actions)
        if self.provider_is_over:
            self.downlink.close()
            forwarding.due_ns = min(forwarding.due_ns, now_ns + _STOPPED_NS)
        return True

    def _leave_vapi(self, code: int, now_ns: int, actions: Actions) -> None:
        if self.provider_is_over and self.vapi is Leg.OPEN and not self.vapi_call.over:
            # The caller's last words are still on their way to the assistant.
            actions.to_vapi += sends(self.uplink, self.uplink.flush(now_ns))
        actions.to_vapi += vapi_commands(self.vapi, self.vapi_call, code)
        self.vapi = Leg.CLOSED
        self.uplink.close()

    def summary(self, now_ns: int) -> CallSummary:
        """Return the call in figures, so far or at its end."""
        return self._summary or self._summarise(now_ns, None)

    def _summarise(self, now_ns: int, end_reason: EndReason | None) -> CallSummary:
        started_ns = self._started_ns
        return CallSummary(
            call_id=self.started.call_id if self.started is not None else "",
            vapi_call_id=self.vapi_call.call_id,
            provider=self.dialect.name,
            created_ns=self._created_ns,
            started_ns=started_ns,
            ended_ns=now_ns if end_reason is not None else None,
            duration_ms=(now_ns - started_ns) / NS_PER_MS if started_ns is not None else 0.0,
            end_reason=end_reason,
            counters=dict(self.counters),
            uplink=self.uplink.stats(now_ns),
            downlink=self.downlink.stats(now_ns),
            barge_ins=self.n_barge_ins,
        )


def sends(path: MediaPath, messages: Iterable[bytes]) -> list[Command]:
    """Return the commands that send what *path* gave out."""
    if path.sends == "text":
        return [SendText(message) for message in messages]
    return [SendBinary(message) for message in messages]


def _paths(dialect: Dialect, config: SessionConfig, leg_format: AudioFormat) -> tuple[LivePath, PlayoutPath]:
    """Return both paths. Before ``Started``, silence runs to Vapi already and early audio is kept."""
    caps, raw = dialect.caps, Envelope(text=False)
    live = msgspec.structs.replace(config.live, paced=config.live.paced and config.paced)
    playout = PlayoutPolicy(
        exact_frames=caps.exact_frames,
        lead_ms=caps.max_lead_ms if config.lead_ms is None else min(config.lead_ms, caps.max_lead_ms),
        prebuffer_ms=config.prebuffer_ms,
        max_playout_ms=config.max_playout_ms,
        early_ms=config.early_media_ms,
        max_late_ms=_MAX_LATE_MS,
        paced=config.paced,
    )
    quality = config.quality
    live_path = ReorderPath if caps.reorder else LivePath
    uplink = live_path(leg_format, config.vapi_format, policy=live, wrap=raw, quality=quality)
    downlink = PlayoutPath(config.vapi_format, leg_format, policy=playout, unwrap=raw, quality=quality)
    return uplink, downlink
