# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own words, by QMP: why it ended, and that its host's disk is full."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from qemu.qmp import EventListener, QMPClient, Runstate

from reviewbot.lab.ports import FIRST_WORD, LAST_WORDS, connect_qmp, disconnect, or_ended


@dataclass(slots=True)
class Monitor:
    """Of one machine; its words stay known when the machine is gone."""

    qmp: QMPClient | None = None
    """None until it was asked for."""
    disk_is_full: bool = False
    """Of the host, when the guest wrote to one of its own."""
    _went: str = ""
    _shutdowns: EventListener = field(default_factory=lambda: EventListener("SHUTDOWN"))
    _disk_errors: EventListener = field(default_factory=lambda: EventListener("BLOCK_IO_ERROR"))

    @contextlib.asynccontextmanager
    async def connected(self, name: str, end: socket.socket, watch: "asyncio.Task[None]") -> AsyncIterator[QMPClient]:
        """name: for its logs. watch: ends with QEMU. Raises Ended when QEMU did not start, Lost."""
        self.qmp = qmp = QMPClient(name)
        qmp.register_listener(self._shutdowns)
        qmp.register_listener(self._disk_errors)
        await or_ended(connect_qmp(qmp, end), watch, FIRST_WORD, "QEMU did not start")
        try:
            yield qmp
        finally:
            await disconnect(qmp)

    def went(self) -> str:
        """Why QEMU ended, if it was the guest's doing: `guest-reset`, `guest-shutdown`, `guest-panic`; or empty."""
        self.listen()
        return self._went

    def listen(self) -> None:
        """Take in what it said since the last call."""
        ends: list[Any] = [event.get("data") or {} for event in self._shutdowns.clear()]
        reasons = [str(words.get("reason", "")) for words in ends]
        self._went = self._went or next((reason for reason in reasons if reason.startswith("guest-")), "")
        errors: list[Any] = self._disk_errors.clear()
        self.disk_is_full |= any((event.get("data") or {}).get("nospace") for event in errors)

    async def all_said(self) -> None:
        """Wait until QEMU, which ended, has told all its events; they come by another socket than its guest's words."""
        until = time.monotonic() + LAST_WORDS
        while self.qmp and self.qmp.runstate is Runstate.RUNNING and time.monotonic() < until:
            await asyncio.sleep(0.02)
