# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a step's reply from the agent's words, or from the kernel's when the machine was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviewbot.lab.channel import number, text
from reviewbot.lab.console import EXCERPT, heard
from reviewbot.lab.figures import server_figures
from reviewbot.lab.rescue import what_hung
from reviewbot.lab.servers import served
from reviewbot.lab.step_files import StepFiles
from reviewbot.model.lab import GuestStep, StepReply, StepStatus
from reviewbot.model.protocol import TAIL

LOUD = 8 << 10
"""Characters of kernel messages of level warning and above that a reply keeps."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A step that was given to the agent."""

    step: GuestStep
    limit: float
    """Seconds that it has on this machine."""
    before: str = ""
    """What the kernel said between the last step and this one; nobody else is there to answer for it."""


def answered(
    asked: Asked, message: dict[str, Any], hang: dict[str, Any], elapsed: float, step_files: StepFiles
) -> StepReply:
    """message: the agent's last word on the step. hang: what it said when the limit struck, or empty.

    elapsed: seconds since the step was given to the agent, on the host's clock; it cannot have taken longer.
    """
    step, dmesg = asked.step, asked.before + text(message, "dmesg")
    said = heard(dmesg)
    status: StepStatus = "done"
    if message.get("timeout") is True:
        status = "timeout"
    elif said.line:
        status = "crash"
    output = text(message, "output")
    folder = step_files.write(step, dmesg, output)
    server = served(Path(folder), dmesg, step.env.get("LEG_SERVER", ""))
    return StepReply(
        name=step.name,
        status=status,
        exit_status=int(number(message, "status")),
        seconds=min(max(number(message, "seconds"), 0.0), elapsed),
        limit=asked.limit,
        output=output,
        dmesg=dmesg[-TAIL:],
        loud=text(message, "loud", LOUD),
        files=folder,
        server=server_figures(message.get("server")) if step.measure else None,
        hang=what_hung(hang, message) if status == "timeout" else "",
        unclean=text(message, "unclean", 300).replace("\n", " "),
        **said.fields,
        **server.fields,
    )


def lost_under(
    step: GuestStep, seconds: float, consoles: Sequence[str], reason: str, step_files: StepFiles
) -> StepReply:
    """The machine went away under this step: did its kernel say why, on its consoles, since the step began?

    reason: QEMU's, when the guest restarted or went off, which it may without a word of the kernel.
    """
    said, splat = "".join(consoles), heard(*consoles)
    fields, crashed = splat.fields, splat.crash
    if reason and not crashed:
        fields |= {
            "splat": f"the guest rebooted or powered off without a message ({reason})",
            "crash": "reboot",
            "fingerprint": "",
            "splat_text": "",
        }
        crashed = True
    return StepReply(
        name=step.name,
        status="crash" if crashed else "lost",
        seconds=seconds,
        dmesg=said[-TAIL:],
        files=step_files.write(step, said),
        **fields,
    )


def hung_under(reply: StepReply, asked: Asked, why: str, hang: dict[str, Any]) -> StepReply:
    """The same of a machine that fell silent, or that went away when the step had reached its limit."""
    status: StepStatus = "crash" if reply.status == "crash" else "timeout"
    said = {"hang": f"{why}\n{text(hang, 'text', EXCERPT)}"[:EXCERPT], "output": text(hang, "output")}
    return reply.model_copy(update={"status": status, "limit": asked.limit, **said})
