# SPDX-License-Identifier: GPL-2.0-or-later
"""A user who has an archive and repositories, and nothing else."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reviewbot.host.git import patch_ids
from reviewbot.host.process import background
from tests.mails import diff, mail
from tests.repos import ENV, git
from tests.trees.series import FILE, NUMBERED, edited, new_repository, raw_mail, write
from tests.user import User

LIBRARY = "lib/fuse.c"


def letter(message_id: str, subject: str, text: str = "Hi.\n", *, parent: str = "", day: int = 20) -> bytes:
    """By the author of the commits, some days after he made them."""
    return mail(message_id, subject, text, parent=parent, author="A <a@x>", day=day).replace(b" 2026 ", b" 2023 ", 1)


def thread(
    name: str, title: str, patches: Sequence[bytes], *, tag: str = "", end: str = "", parent: str = "", day: int = 20
) -> list[bytes]:
    """A cover `NAME@x`, the patches `NAME.N@x` below it; end: trailers of the cover."""
    found = [
        letter(f"{name}@x", f"[{tag or f'PATCH 0/{len(patches)}'}] {title}", f"Hi.\n{end}", parent=parent, day=day)
    ]
    for number, raw in enumerate(patches, 1):
        found.append(f"Message-ID: <{name}.{number}@x>\nIn-Reply-To: <{name}@x>\n".encode() + raw)
    return found


def patches(folder: Path, span: str, *, version: str = "", end: str = "", index: bool = True) -> list[bytes]:
    """As git format-patch writes them; end: below the last one."""
    commits = git(folder, "rev-list", "--reverse", span).splitlines()
    found = []
    for number, commit in enumerate(commits, 1):
        raw = raw_mail(folder, commit, number, len(commits)).replace(b"[PATCH ", f"[PATCH{version} ".encode())
        found.append(raw if index else b"".join(line for line in raw.splitlines(True) if line[:6] != b"index "))
    found[-1] += end.encode()
    return found


@dataclass(frozen=True)
class Answer:
    """Of one call."""

    status: int
    out: str
    err: str

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def kernel(self) -> dict[str, Any]:
        """The kernel's tree, after bases were tried."""
        return next(tree for tree in self.plan["trees"] if tree["component"] == "kernel")

    @property
    def kinds(self) -> list[tuple[str, bool]]:
        return [(problem["kind"], problem["blocking"]) for problem in self.plan["problems"]]

    @property
    def said(self) -> str:
        """The line on stderr, when all that was planned is not what was asked for."""
        (line,) = [line for line in self.err.splitlines() if not line.startswith("[")]
        return line


@dataclass(frozen=True)
class Subscriber(User):
    """With an archive, a kernel, a libfuse, and somebody who has something to pull."""

    archive: str
    pulls: str

    @property
    def repository(self) -> Path:
        return self.folder / "kernel"

    def plan(self, *arguments: str, site: str = "site.yaml") -> Answer:
        proxy = "http://127.0.0.1:9"  # nobody looks for the stack's own repositories
        words = ("plan", "--json", "--legs", "ext4", "--suites", "smoke", *arguments)
        done = self.call(*words, https_proxy=proxy, REVIEWBOT_SITE=str(self.folder / site))
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def tries(self, *arguments: str) -> Answer:
        return self.plan("--try-bases", *arguments)

    def file(self, mails: Sequence[bytes]) -> str:
        return self.thread(mails, str(len(list(self.folder.glob("*.mbox")))))


def kernel_of(folder: Path) -> Path:
    """v6.1, v6.2 (line 5 differs) and master (line 40, too), and some work on top of v6.1.

    topic: two patches. upon: one on top of it. merged: the first of its two is in master. stuck: nothing takes it.
    """
    kernel = new_repository(folder, {FILE: NUMBERED, "fs/fuse/dev.c": NUMBERED})
    git(kernel, "tag", "v6.1")
    for branch in ("topic", "merged", "stuck", "gone", "versions"):
        git(kernel, "branch", branch)
    write(kernel, {FILE: edited(5, word="of 6.2")}, "fuse: five", day=1)
    git(kernel, "tag", "v6.2")
    git(kernel, "checkout", "-q", "topic")
    write(kernel, {FILE: edited(20, word="topic")}, "fuse: topic one", day=2)
    write(kernel, {FILE: edited(20, 30, word="topic")}, "fuse: topic two", day=2)
    git(kernel, "checkout", "-q", "-b", "upon")
    write(kernel, {FILE: edited(20, 30, 32, word="topic")}, "fuse: upon it", day=3)
    git(kernel, "checkout", "-q", "merged")
    write(kernel, {"fs/fuse/dev.c": edited(10, word="dev")}, "fuse: taken already", day=2)
    write(kernel, {"fs/fuse/dev.c": edited(10, 50, word="dev")}, "fuse: not taken yet", day=2)
    git(kernel, "checkout", "-q", "stuck")
    write(kernel, {FILE: edited(19, 20, 21, word="unposted")}, "not posted", day=2)
    write(kernel, {FILE: edited(19, 20, 21, word="stuck")}, "fuse: stuck", day=2)
    git(kernel, "checkout", "-q", "gone")
    write(kernel, {FILE: edited(50, word="unreachable")}, "on no branch", day=2)
    git(kernel, "tag", "unreachable")
    write(kernel, {FILE: edited(50, 52, word="unreachable")}, "fuse: on something gone", day=2)
    git(kernel, "checkout", "-q", "versions")
    write(kernel, {FILE: edited(58, word="versions")}, "fuse: first version", day=2)
    write(kernel, {FILE: edited(58, 60, word="versions")}, "fuse: more of it", day=2)
    git(kernel, "checkout", "-q", "master")
    git(kernel, "cherry-pick", "merged~1")
    write(kernel, {FILE: edited(5, 40, word="of 6.2")}, "fuse: forty", day=4)
    return kernel


def history(kernel: Path, libfuse: Path) -> list[bytes]:
    """Everything the archive has."""
    topic = patches(kernel, "v6.1..topic")
    library = patches(libfuse, "v1..topic")
    mails = [letter("bomb@x", "[PATCHBOMB v2] iomap and all")]
    mails += thread("k", "fuse: topic", topic, tag="PATCHSET v2 1/1", parent="bomb@x")
    mails += thread("l", "libfuse: topic", library, tag="PATCHSET v2 1/1", parent="bomb@x")
    mails += thread("alone", "fuse: by itself", topic)
    mails += thread("lib", "libfuse: by itself", library)
    mails += thread("bare", "fuse: without blob ids", patches(kernel, "v6.1..topic", index=False))
    ids = patch_ids([raw.partition(b"\n\n")[2] for raw in topic])
    below = "".join(f"prerequisite-patch-id: {value}\n" for value in ids)
    below = f"\n---\nbase-commit: {git(kernel, 'rev-parse', 'v6.1')}\n{below}"
    mails += thread("upon", "fuse: upon the topic", patches(kernel, "topic..upon"), end=below)
    missing = f"\n---\nprerequisite-patch-id: {'9' * 40}\n"
    mails += thread("lacks", "fuse: lacks something", patches(kernel, "topic..upon"), end=missing)
    for name, other in (("hen", "egg"), ("egg", "hen")):
        mails.append(mail(f"{name}@x", f"[PATCH] fuse: {name}", diff(FILE, word=name) + f"\nDepends-on: <{other}@x>\n"))
    mails += thread("old", "fuse: in two versions", patches(kernel, "v6.1..versions~1"))
    again = patches(kernel, "v6.1..versions", version=" v2")
    mails += thread("new", "fuse: in two versions", again, tag="PATCH v2 0/2", day=28)
    mails += thread("merged", "fuse: partly merged", patches(kernel, "v6.1..merged"))
    mails += thread("stuck", "fuse: stuck", patches(kernel, "stuck~1..stuck"))
    gone = f"\n---\nbase-commit: {git(kernel, 'rev-parse', 'unreachable')}\n"
    mails += thread("gone", "fuse: on something gone", patches(kernel, "gone~1..gone"), end=gone)
    return mails


def site_of(user: Subscriber, **more: object) -> dict[str, object]:
    sources = {
        "kernel": {"provider": "git", "url": str(user.folder / "kernel"), "ref": "master"},
        "libfuse": {"provider": "git", "url": str(user.folder / "libfuse"), "ref": "master"},
        "e2fsprogs": {"provider": "dir", "path": str(user.folder / "nothing")},
    }
    # They stand for the stack's own, which are on the network; the tags are the first to be tried.
    bases = {"kernel": [{"tags": "v[0-9]*", "why": "releases"}]}
    network = {"private": ["127.0.0.1"]}
    return {"archive": user.archive, "components": sources, "bases": bases, "network": network, **more}


def served(folder: Path) -> AbstractContextManager[str]:
    """URL of a git daemon for the repositories below a folder."""
    daemon = Path(git(Path.cwd(), "--exec-path")) / "git-daemon"
    if not daemon.exists():
        pytest.skip("git has no daemon")
    return _daemon(daemon, folder)


@contextmanager
def _daemon(program: Path, folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(program),
        "--export-all",
        f"--base-path={folder}",
        "--listen=127.0.0.1",
        f"--port={port}",
        "--reuseaddr",
    ]
    with (folder / "log").open("wb") as log, background(command, env=ENV, log=log):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"git://127.0.0.1:{port}"
