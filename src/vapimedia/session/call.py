"""One call's lifecycle, without sockets and clocks: inputs and the time go in, ``Actions`` come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vapimedia.media import LivePath, PlayoutPath
from vapimedia.protocols.commands import SendText
from vapimedia.protocols.dialect import Dialect
from vapimedia.protocols.events import ProviderEvent, Started
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.secret import Secret
from vapimedia.session.config import SessionConfig
from vapimedia.session.core import CallCore, sends
from vapimedia.session.events import Actions, CallSummary, EndReason
from vapimedia.session.forwarding import Forwards, ForwardTarget
from vapimedia.session.lifecycle import Leg, State, vapi_commands
from vapimedia.session.marks import Marks
from vapimedia.session.provider_leg import ProviderLeg
from vapimedia.session.vapi_leg import VapiLeg

__all__ = ["CallSession"]

# Reasons to hang up that are ends of their own.
_OWN_ENDS: Mapping[str, EndReason] = {"drain": "drain", "callback_error": "callback_error"}


class CallSession:
    """One phone call joined to one Vapi call.

    Every input returns the ``Actions`` that follow from it; none raises, in whatever order they come. After
    ``CallEnded`` they return nothing: the owner abandons what it was still opening and drops the session.

    With ``carries_media`` the messages of both legs go through the session, audio included. Without, the
    owner feeds media to ``uplink`` and ``downlink`` itself and brings only what they do not take; it asks
    ``mark_due`` after sending, honours ``drop_downlink_until_ns``, and ``next_tick_ns`` does not cover the
    paths.

    Raises ``ConfigError`` if the dialect announces a format that the kernels cannot read.
    """

    def __init__(
        self,
        dialect: Dialect,
        config: SessionConfig,
        *,
        now_ns: int,
        carries_media: bool = True,
        vapi_call_id: str = "",
    ) -> None:
        self._core = CallCore(dialect, config, now_ns, vapi_call_id)
        self._forwards = Forwards(self._core)
        self._vapi = VapiLeg(self._core, self._forwards)
        self._provider = ProviderLeg(self._core, self._vapi)
        self.carries_media = carries_media

    @property
    def state(self) -> State:
        """Where the call stands."""
        return self._core.state

    @property
    def started(self) -> Started | None:
        """The provider's start message; ``None`` before it."""
        return self._core.started

    @property
    def marks(self) -> Marks:
        """The playout marks: those that are under way, the newest that was sent, the newest that was played."""
        return self._core.marks

    @property
    def uplink(self) -> LivePath:
        """Caller to Vapi. It reads the provider's media from ``Started`` on."""
        return self._core.uplink

    @property
    def downlink(self) -> PlayoutPath:
        """Vapi to caller. It keeps what comes before ``Started``."""
        return self._core.downlink

    @property
    def drop_downlink_until_ns(self) -> int:
        """Vapi's audio before this moment belongs to an interrupted turn and is dropped; 0: none does."""
        return self._vapi.drop_downlink_until_ns

    @property
    def next_tick_ns(self) -> int | None:
        """As in the last ``Actions``, for an owner that feeds the paths itself."""
        return self._core.next_tick_ns(0, with_paths=self.carries_media)

    # Inputs

    def set_vapi_call(
        self, call_id: str, control_url: str | Secret, headers: Mapping[str, str | Secret]
    ) -> Actions:
        """Tell which call Vapi has made. *headers* go with requests to its control URL.

        The one input that may act after the end: a Vapi call that was made too late is ended at once.
        """
        actions = Actions(next_tick_ns=self.next_tick_ns)
        call = self._core.vapi_call
        call.call_id, call.control_url, call.headers = call_id, Secret(control_url), dict(headers)
        if self.state is State.ENDED:
            actions.to_vapi += vapi_commands(Leg.CLOSED, call, 1000)
        return actions

    def provider_opened(self, now_ns: int) -> Actions:
        """The provider's media socket is open."""
        return self._input(now_ns, lambda actions: self._provider.open(now_ns, actions))

    def provider_message(self, message: bytes, is_text: bool, now_ns: int) -> Actions:
        """One WebSocket message came from the provider."""

        def take(actions: Actions) -> None:
            self._provider.open(now_ns, actions)
            self._core.health.heard_ns = now_ns
            if not self.carries_media or not self._provider.take_media(message, is_text, now_ns, actions):
                self._provider.take_message(message, is_text, now_ns, actions)

        return self._input(now_ns, take)

    def provider_events(self, events: Sequence[ProviderEvent], now_ns: int) -> Actions:
        """The provider said something outside of the socket (a status callback)."""
        return self._input(now_ns, lambda actions: self._provider.take_events(events, now_ns, actions))

    def provider_closed(self, code: int, now_ns: int, *, breach: bool = False) -> Actions:
        """The provider's socket is gone; 1006 means without a closing handshake (RFC 6455 s. 7.1.5).

        *breach*: we closed it with *code*, because the peer broke the protocol.
        """
        return self._input(now_ns, lambda actions: self._provider.close(code, breach, now_ns, actions))

    def vapi_opened(self, now_ns: int) -> Actions:
        """Vapi's call socket is open."""
        return self._input(now_ns, lambda actions: self._vapi.open(now_ns, actions))

    def vapi_failed(self, reason: str, now_ns: int) -> Actions:
        """There will be no Vapi leg: the API refused the call, or its socket could not be opened."""
        return self._input(now_ns, lambda actions: self._vapi.close("vapi_failed", reason, now_ns, actions))

    def vapi_message(self, message: bytes, is_text: bool, now_ns: int) -> Actions:
        """One WebSocket message came from Vapi: audio if it is binary."""

        def take(actions: Actions) -> None:
            self._vapi.open(now_ns, actions)
            self._vapi.take_message(message, is_text, now_ns, actions)

        return self._input(now_ns, take)

    def vapi_closed(self, code: int, now_ns: int, *, breach: bool = False) -> Actions:
        """Vapi's socket is gone; *code* and *breach* as in ``provider_closed``.

        Without ``status-update ended`` before, nothing is left to play out.
        """
        lost: EndReason = "vapi_lost" if code == 1006 else "vapi_closed"
        reason: EndReason = "protocol_error" if breach else lost
        return self._input(now_ns, lambda actions: self._vapi.close(reason, str(code), now_ns, actions))

    def send_to_vapi(self, data: bytes, now_ns: int) -> Actions:
        """Send a control message to the assistant; a few are held until its socket opens."""
        return self._input(now_ns, lambda actions: self._vapi.tell(data, actions))

    def hang_up(self, reason: str, now_ns: int) -> Actions:
        """End the call now: ``drain`` and ``callback_error`` as such, any other word as a detail."""
        own = _OWN_ENDS.get(reason)
        detail = "" if own else reason
        return self._input(now_ns, lambda actions: self._core.end(own or "hang_up", detail, now_ns, actions))

    def hang_up_when_heard(self, detail: str, now_ns: int) -> Actions:
        """End the call as Vapi's own end does, ``vapi_ended``: what was already said is heard first."""
        return self._input(now_ns, lambda actions: self._vapi.finish(detail, now_ns, actions))

    def forward(self, to: ForwardTarget, now_ns: int) -> Actions:
        """Have the phone call go on at *to*, without the assistant: the call ends as ``forwarded``.

        What the assistant has said is heard first, for ``goodbye_ms`` at most; then the provider's API is asked, while
        the assistant stays. If it refuses, or does not answer, the call goes on: ``ForwardFailed`` tells. From here on
        the phone is not hung up, whatever else ends the call. Refused before the media runs, where the provider
        cannot, and while another forward is under way; the same one once more changes nothing.
        """
        return self._input(now_ns, lambda actions: self._forwards.ask(to, now_ns, actions))

    def forward_answered(self, trouble: str, now_ns: int) -> Actions:
        """The provider's API was asked to forward (an ``awaited`` request). *trouble* is empty if it agreed."""
        return self._input(now_ns, lambda actions: self._forwards.answered(trouble, now_ns, actions))

    def tick(self, now_ns: int) -> Actions:
        """Time has passed."""

        def take(actions: Actions) -> None:
            core = self._core
            if self.carries_media:
                actions.to_provider += core.plays(core.downlink.due(now_ns))
                actions.to_vapi += sends(core.uplink, core.uplink.due(now_ns))
            missed = core.deadlines.missed(now_ns)
            if missed is None and core.goodbye is None and not core.waits_for_forward:
                missed = core.health.check(core.uplink, now_ns)
            if missed is not None:
                code = 1007 if missed == "protocol_error" else None
                core.end(missed, "", now_ns, actions, provider_code=code)

        return self._input(now_ns, take)

    # Questions

    def mark_due(self, now_ns: int) -> SendText | None:
        """Return the mark to send after the audio sent so far, if it is time for one. Cheap to ask."""
        if self.state is State.ENDED or not self._core.marks.due(self._core.downlink.sent_ms):
            return None
        return self._core.next_mark()

    def check_forward(self, to: ForwardTo) -> None:
        """Raise ``ConfigError`` or ``StateError`` if ``forward`` would be refused now."""
        self._forwards.check(to)

    def summary(self, now_ns: int) -> CallSummary:
        """Return the call in figures, so far or at its end."""
        return self._core.summary(now_ns)

    def _input(self, now_ns: int, take: Callable[[Actions], None]) -> Actions:
        actions = Actions()
        if self.state is State.ENDED:
            return actions
        take(actions)
        if self.carries_media:
            mark = self.mark_due(now_ns)
            if mark is not None:
                actions.to_provider.append(mark)
        self._core.go_on_with_goodbye(now_ns, actions)
        self._forwards.go_on(now_ns, actions)
        actions.next_tick_ns = self._core.next_tick_ns(now_ns, with_paths=self.carries_media)
        return actions
