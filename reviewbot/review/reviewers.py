# SPDX-License-Identifier: GPL-2.0-or-later
"""External reviewers: commands that speak b4's check protocol, asked in the sandbox.

A mail on stdin, a JSON array of `{tool, status, summary, url, details}` on stdout. What a reviewer does wrong is never
held against the patch: it ends up in `Review.skipped`.
"""

import contextlib
import json
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reviewbot.config import Reviewer
from reviewbot.host.process import CommandTimeout, ToolMissing
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.review.text import one_line, plain, some_lines

OUTPUT = 1 << 20
"""Bytes of an answer that are read."""
_LOG = 1 << 20
MEMORY = 4 << 30
"""Bytes of address space per process."""
PATIENCE = 3
"""Failures after which a reviewer is not asked again."""
_MOST = 100
_OWN = frozenset({"checkpatch", "message", "whitespace", "build", "gcc", "sparse", "copies"})
_SEVERITY = {"warn": Severity.WARNING, "fail": Severity.ERROR}
_URL = re.compile(r"https?://[!-~]{1,480}")


@dataclass(slots=True)
class Panel:
    """The reviewers of one run; remembers which of them failed and why. Several threads may ask."""

    sandbox: Sandbox
    scratch: Path
    logs: Path
    failures: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, reviewer: Reviewer, mail: bytes, source: Path, component: str) -> list[ReviewFinding]:
        """What one reviewer says of one mail. source: files of head, visible as /src."""
        with self._lock:
            if len(self.failures.get(reviewer.name, ())) >= PATIENCE:
                return []
            self.asked[reviewer.name] = self.asked.get(reviewer.name, 0) + 1
        found, problem = self._call(reviewer, mail, source, component)
        if problem:
            with self._lock:
                self.failures.setdefault(reviewer.name, []).append(problem)
        return found

    def skipped(self) -> dict[str, str]:
        """Reviewer -> why some or all of its word is missing."""
        said = {}
        for name, problems in self.failures.items():
            count = f"no usable result for {len(problems)} of {self.asked[name]} mails"
            given_up = ", not run again" if len(problems) >= PATIENCE else ""
            said[name] = f"{problems[0]} ({count}{given_up})"
        return said

    def _call(self, reviewer: Reviewer, mail: bytes, source: Path, component: str) -> tuple[list[ReviewFinding], str]:
        path = Path(reviewer.path).expanduser()
        where, words = ("/reviewer", list(reviewer.command)) if path.is_dir() else (f"/reviewer/{path.name}", [])
        if not path.exists():
            return [], f"{path} does not exist"
        if path.is_dir() and not words:
            return [], f"{path} is a folder, and no command is set"
        with tempfile.TemporaryDirectory(dir=self.scratch) as name:
            out, log = Path(name) / "out", Path(name) / "log"
            try:
                done = self.sandbox.run(
                    words or list(reviewer.command) or [where],
                    binds={"/src": Bind(source), where: Bind(path.absolute())},
                    log=log,
                    timeout=reviewer.timeout,
                    env={"COMPONENT": component},
                    check=False,
                    stdin=mail,
                    stdout=out,
                    memory=MEMORY,
                    file_size=OUTPUT + 1,
                    log_limit=_LOG,
                )
            except CommandTimeout:
                return [], f"no result within {reviewer.timeout:.0f} s"
            except ToolMissing as error:
                return [], str(error)
            finally:
                self._keep(reviewer.name, log)
            with out.open("rb") as file:
                said = file.read(OUTPUT + 1)
        return parse(said, done.status, done.output, reviewer.name)

    def _keep(self, name: str, log: Path) -> None:
        """The end of what it said on stderr, for the operator."""
        if log.is_file() and log.stat().st_size:
            words = log.read_bytes()[-4096:].decode(errors="replace")
            target = self.logs / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.log"
            with self._lock:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("a") as file:
                    file.write(plain(words) + "\n")


def parse(said: bytes, status: int, errors: str, name: str) -> tuple[list[ReviewFinding], str]:
    """Findings, and what is wrong with the answer if anything is.

    errors: what it said on stderr. As b4 reads it: an object counts as an array of one, and nothing at all with status
    0 as an empty one.
    """
    if len(said) > OUTPUT:
        return [], f"its output is larger than {OUTPUT >> 20} MiB"
    if not said.strip():
        last = one_line(errors.strip().splitlines()[-1]) if errors.strip() else "no output"
        return [], f"ended with status {status}: {last}" if status else ""
    try:
        data = json.loads(said.decode())
    except UnicodeDecodeError as error:
        return [], f"its output is not UTF-8 at byte {error.start}"
    except (ValueError, RecursionError) as error:
        return [], one_line(f"its output is not JSON: {error}")
    entries = data if isinstance(data, list) else [data]
    found, problem = [], ""
    for entry in entries[:_MOST]:
        if not isinstance(entry, dict) or entry.get("status") not in ("pass", "warn", "fail"):
            problem = problem or "its output has an entry whose status is not pass, warn or fail"
        elif entry["status"] != "pass":
            found.append(_finding(entry, name))
    if len(entries) > _MOST:
        problem = problem or f"its output has {len(entries)} entries; the first {_MOST} were read"
    return found, problem


def _finding(entry: Mapping[str, Any], name: str) -> ReviewFinding:
    tool = one_line(str(entry.get("tool") or name), 60)
    summary = one_line(str(entry.get("summary") or "")) or "no summary was given"
    url = str(entry.get("url") or "")
    return ReviewFinding(
        tool=f"{name} (external)" if name in _OWN else name,
        severity=_SEVERITY[entry["status"]],
        message=summary if tool == name else one_line(f"{tool}: {summary}"),
        detail=_details(entry.get("details")),
        url=url if _URL.fullmatch(url) else "",
    )


def _details(value: Any) -> str:
    """Text as it is; the list of `{status, description}` that b4's own checks give, one line each."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list):
        lines = [
            f"{entry.get('status', '')}: {entry.get('description', '')}" if isinstance(entry, dict) else str(entry)
            for entry in value[:_MOST]
        ]
        value = "\n".join(one_line(line) for line in lines)
    return some_lines(str(value)) if value else ""
