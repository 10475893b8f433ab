# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of a step's FUSE servers, from the files that the guest's agent sent: deaths, faults, errors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviewbot.config import load_servers
from reviewbot.crash.sanitizers import Found, backtrace, reports
from reviewbot.crash.splats import fingerprint, judge, splat_blocks
from reviewbot.host.files import remove_tree
from reviewbot.lab.channel import text
from reviewbot.model.deaths import Death, ServerError, ServerReport, in_words

LOG, DEAD = "server.log", "dead"
READ = 1 << 20
"""Bytes of a file that are looked at."""
EXCERPT = 4096
MOST = 20
"""Deaths, and kinds of errors, of one step."""
_TAIL_LINES = 15
_KILLED = re.compile(r"Kill(?:ed)? process (\d{1,10})\b")
_EMBEDDED = "lklfuse"
"""The server that has a kernel inside."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the servers of one step have to answer for."""

    death: Death | None = None
    errors: tuple[ServerError, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """Of a StepReply."""
        return {"death": self.death, "server_errors": self.errors}


def forget(folder: Path) -> None:
    """Remove what an earlier try of the same step left."""
    remove_tree(folder / DEAD)
    (folder / LOG).unlink(missing_ok=True)


def served(folder: Path, dmesg: str, server: str = "") -> Served:
    """Judge a step's files. dmesg: tells whom the kernel killed for lack of memory. server: the leg's.

    Raises ConfigError when `qemu/servers.yaml` is wrong.
    """
    log = _read(folder / LOG)
    records = sorted(path for path in _children(folder / DEAD) if path.name.isdigit() and len(path.name) < 11)
    if not log and not records:
        return Served()
    found, rest = reports(log)
    killed = {int(pid) for pid in _KILLED.findall(dmesg)}
    own = {entry.pid: entry.report for entry in reversed(found) if entry.pid}
    words = "\n".join([line for line in rest if line.strip() and not line.startswith("== ")][-_TAIL_LINES:])[-EXCERPT:]
    deaths = [_death(path, own, killed, words) for path in records[:MOST]]
    told = {death.pid for death in deaths}
    alone = [entry for entry in found if entry.pid not in told] + (_embedded(rest) if server == _EMBEDDED else [])
    deaths += [
        Death(server=server, pid=one.pid, report=one.report, fingerprint=one.report.fingerprint, log=words)
        for one in alone[:MOST]
    ]
    return Served(_worst(deaths), server_errors(rest))


def _death(record: Path, own: Mapping[int, ServerReport], killed: set[int], log: str) -> Death:
    """One of `dead/`: the supervisor's words, and gdb's beside them."""
    fields = dict(line.partition(" ")[::2] for line in _read(record).splitlines()[:20])
    pid = int(record.name)
    status = fields.get("status", "")
    signal = fields.get("signal", "") if re.fullmatch(r"SIG[A-Z0-9+-]{1,12}", fields.get("signal", "")) else ""
    where, trace = backtrace(_read(record.with_name(f"{record.name}.backtrace")))
    report = own.get(pid)
    return Death(
        server=fields.get("server", "")[:100],
        device=fields.get("device", "")[:100],
        pid=pid,
        hung=fields.get("hung") == "yes",
        status=int(status) if re.fullmatch(r"\d{1,3}", status) else 255,
        signal=signal,
        by="the kernel's OOM killer" if pid in killed and signal == "SIGKILL" else "",
        mounted=fields.get("mounted") == "yes",
        backtrace=trace,
        fingerprint=(report and report.fingerprint) or where,
        report=report,
        log=log,
    )


def _embedded(lines: Sequence[str]) -> list[Found]:
    """Splats of the kernel inside lklfuse, as of any other. With each unmount it goes down, which is no fault of it."""
    sentence = judge([block for block in splat_blocks("\n".join(lines)) if block.kind != "reboot"])
    worst = sentence.worst
    if worst is None:
        return []
    report = ServerReport(kind=worst.kind, title=worst.title, fingerprint=fingerprint(worst), text=worst.text[:EXCERPT])
    return [Found(report, 0)]


def _worst(deaths: Sequence[Death]) -> Death | None:
    """The one that tells most: a death with a place, any death, a report; of equals the first."""
    if not deaths:
        return None
    worst = min(deaths, key=lambda death: (death.status is None, not death.fingerprint, not death.signal))
    others = tuple(dict.fromkeys(in_words(death) for death in deaths if death is not worst))
    return worst.model_copy(update={"others": others[:MOST]})


def server_errors(lines: Sequence[str]) -> tuple[ServerError, ...]:
    """Lines that match an entry of `qemu/servers.yaml`: per entry the first, and how many there were."""
    found: dict[str, ServerError] = {}
    rules = [(re.compile(entry.pattern), entry) for entry in load_servers().errors]
    any_rule = re.compile("|".join(f"(?:{entry.pattern})" for _, entry in rules))
    for line in lines:
        line = line[:1024]
        if line.startswith("== ") or not any_rule.search(line):
            continue
        entry = next(entry for pattern, entry in rules if pattern.search(line))
        if known := found.get(entry.pattern):
            found[entry.pattern] = known.model_copy(update={"count": known.count + 1})
        elif len(found) < MOST:
            found[entry.pattern] = ServerError(
                kind=entry.kind, line=line.strip()[:300], reason=entry.reason, link=entry.link
            )
    return tuple(found.values())


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """The beginning of a guest's file, without what a terminal would choke on; empty when there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(READ)
    except OSError:
        return ""
    return text({"": data.decode(errors="replace").replace("\r", "")}, "", READ)
