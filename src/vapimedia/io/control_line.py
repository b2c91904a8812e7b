"""What a bridge says to its own call by the control URL: in order, one at a time, and nobody waits for it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vapimedia.errors import StateError, VapiError, VapimediaError
from vapimedia.io.call_log import CallLog
from vapimedia.io.live_control import LiveControl
from vapimedia.io.wire_log import regarding

if TYPE_CHECKING:
    from vapimedia.io.live_call import CallHost
    from vapimedia.protocols.vapi import CreatedCall

__all__ = ["ControlLine"]

_MAX_WAITING = 32


class ControlLine:
    """Messages of one call. They wait until it runs, as Vapi takes none before; the 33rd is dropped.

    What is left at its end is dropped too. What is dropped or not taken is counted (``control_dropped``,
    ``control_failed``) and logged without content.
    """

    def __init__(self, host: CallHost, log: CallLog) -> None:
        self._host, self._log = host, log
        self._control: LiveControl | None = None
        self._waiting: deque[bytes] = deque()
        self._is_open = self._is_sending = self._is_closed = False

    @property
    def control(self) -> LiveControl:
        """What speaks to the call and can be awaited. Raises ``StateError`` before Vapi has made the call."""
        if self._control is None:
            raise StateError("Vapi has not made the call yet; wait for CallStarted")
        return self._control

    def send(self, message: bytes) -> None:
        """Send a message now, or when it is its turn."""
        if self._is_closed or len(self._waiting) >= _MAX_WAITING:
            self._host.count("control_dropped")
            return
        self._waiting.append(message)
        self._start()

    def made(self, call: CreatedCall) -> None:
        """Vapi has made the call; it runs once somebody is on its socket."""
        self._control = self._host.client.control(call)

    def open(self) -> None:
        """The call runs."""
        self._is_open = True
        self._start()

    def close(self) -> None:
        """The call is over: nothing is sent any more."""
        self._is_closed = True
        if self._waiting:
            self._host.count("control_dropped", len(self._waiting))
            self._waiting.clear()

    def _start(self) -> None:
        if self._waiting and self._is_open and self._control is not None and not self._is_sending:
            self._is_sending = True
            self._host.run(self._send_all(self._control))

    async def _send_all(self, control: LiveControl) -> None:
        regarding(self._log)
        try:
            while self._waiting:
                try:
                    await control.send(self._waiting.popleft())
                except VapimediaError as error:
                    self._host.count("control_failed")
                    status = error.status if isinstance(error, VapiError) else None
                    # The text may quote what was to be said.
                    told: dict[str, object] = {} if status is None else {"status": status}
                    self._log.trouble("control_failed", error=type(error).__name__, **told)
        finally:
            self._is_sending = False
