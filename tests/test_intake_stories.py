# SPDX-License-Identifier: GPL-2.0-or-later
"""What users name, and what `plan` makes of it: a real archive, real repositories, the real command line."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.inbox import deliver, installed, serve
from reviewbot import pipeline
from reviewbot.config import load_site, load_stack
from reviewbot.host.git import patch_ids
from reviewbot.host.process import background
from reviewbot.intake import wait
from reviewbot.model.progress import Event
from tests.mails import diff, mail, mbox
from tests.repos import ENV, git
from tests.trees.series import FILE, NUMBERED, edited, new_repository, raw_mail, write

LIBRARY = "lib/fuse.c"


def letter(message_id: str, subject: str, text: str = "Hi.\n", *, parent: str = "", day: int = 20) -> bytes:
    """By the author of the commits, some days after he made them."""
    return mail(message_id, subject, text, parent=parent, author="A <a@x>", day=day).replace(b" 2026 ", b" 2023 ", 1)


def thread(
    name: str, title: str, patches: Sequence[bytes], *, tag: str = "", end: str = "", parent: str = "", day: int = 20
) -> list[bytes]:  # fmt: skip
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
class World:
    """A user with an archive, a kernel, a libfuse, and somebody who has something to pull."""

    folder: Path
    archive: str
    pulls: str

    @property
    def repository(self) -> Path:
        return self.folder / "kernel"

    def plan(self, *arguments: str, site: str = "site.yaml") -> Answer:
        names = {"REVIEWBOT_CACHE": "cache", "REVIEWBOT_DATA": "data", "REVIEWBOT_SITE": site}
        env = {**os.environ, **{name: str(self.folder / where) for name, where in names.items()}}
        env["https_proxy"] = "http://127.0.0.1:9"  # nobody looks for the stack's own repositories
        done = subprocess.run(
            [sys.executable, "-m", "reviewbot", "plan", "--json", "--legs", "ext4", "--suites", "smoke", *arguments],
            capture_output=True, text=True, check=False, timeout=120, cwd=self.folder, env=env,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def tries(self, *arguments: str) -> Answer:
        return self.plan("--try-bases", *arguments)

    def file(self, mails: Sequence[bytes]) -> str:
        path = self.folder / f"{len(list(self.folder.glob('*.mbox')))}.mbox"
        path.write_bytes(mbox(mails))
        return str(path)


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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not installed():
        pytest.skip("public-inbox is not installed")
    folder = tmp_path_factory.mktemp("stories")
    kernel = kernel_of(folder / "kernel")
    libfuse = new_repository(folder / "libfuse", {LIBRARY: NUMBERED})
    git(libfuse, "tag", "v1")
    git(libfuse, "checkout", "-q", "-b", "topic")
    write(libfuse, {LIBRARY: edited(20)}, "lib: topic", day=2)
    git(libfuse, "checkout", "-q", "master")
    mails = history(kernel, libfuse)
    for branch in ("gone", "stuck", "merged", "versions"):
        git(kernel, "branch", "-q", "-D", branch)
    git(kernel, "tag", "-d", "unreachable")
    git(kernel, "clone", "-q", "--bare", str(kernel), str(folder / "served" / "pulls.git"))
    with served(folder / "served") as pulls, serve(mails, folder / "inbox") as archive:
        found = World(folder, archive, f"{pulls}/pulls.git")
        (folder / "site.yaml").write_text(yaml.safe_dump(site_of(found)))
        yield found


def site_of(world: World, **more: object) -> dict[str, object]:
    sources = {
        "kernel": {"provider": "git", "url": str(world.folder / "kernel"), "ref": "master"},
        "libfuse": {"provider": "git", "url": str(world.folder / "libfuse"), "ref": "master"},
        "e2fsprogs": {"provider": "dir", "path": str(world.folder / "nothing")},
    }
    # They stand for the stack's own, which are on the network; the tags are the first to be tried.
    bases = {"kernel": [{"tags": "v[0-9]*", "why": "releases"}]}
    return {"archive": world.archive, "components": sources, "bases": bases, **more}


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


def test_a_patch_in_the_middle_names_the_posting(world: World) -> None:
    found = world.plan("k.1@x")
    assert found.status == 0
    assert (found.plan["top"], found.plan["asked"]) == ("bomb@x", ["k.1@x"])
    assert [(part["component"], part["patches"]) for part in found.plan["parts"]] == [
        ("kernel", ["k.1@x", "k.2@x"]), ("libfuse", ["l.1@x"]),
    ]  # fmt: skip
    assert [source["component"] for source in found.plan["sources"]] == ["kernel", "libfuse", "e2fsprogs"]
    assert found.plan["attestation"] == {"dkim": {"none": 3}, "patatt": {"none": 3}}
    assert found.plan["trees"] is None
    assert not (world.folder / "cache" / "repos").exists()


def test_two_threads_are_one_posting(world: World) -> None:
    found = world.tries("alone@x", "http://lore.kernel.org/r/lib@x")
    assert (found.status, found.kinds) == (0, [])
    assert [(tree["component"], len(tree["patches"])) for tree in found.plan["trees"]] == [
        ("kernel", 2),
        ("libfuse", 1),
    ]


def test_a_manifest_of_a_mail_a_mailbox_and_a_range(world: World) -> None:
    (world.folder / "lib.mbox").write_bytes(mbox(thread("m", "lib: x", patches(world.folder / "libfuse", "v1..topic"))))
    (world.folder / "posting.yaml").write_text(
        "title: all of it\nbase: {kernel: v6.1}\nparts:\n- message_id: alone@x\n- mbox: lib.mbox\n"
        "- {component: kernel, git: {url: kernel, range: topic..upon}}\n"
    )
    found = world.tries("--manifest", "posting.yaml")
    assert (found.status, found.plan["subject"], found.plan["manifest"]) == (0, "all of it", "posting.yaml")
    assert found.kernel["base_why"] == "v6.1, named by the manifest"
    assert [patch["subject"].rpartition("] ")[2] for patch in found.kernel["patches"]] == [
        "fuse: topic one", "fuse: topic two", "fuse: upon it",
    ]  # fmt: skip
    assert found.kernel["head_tree"] == git(world.repository, "rev-parse", "upon^{tree}")


def request_pull(world: World, tag: str, message_id: str) -> str:
    served = world.folder / "served" / "pulls.git"
    git(served, "tag", "-f", "-a", "-m", "please", tag, "topic")
    command = ["git", "request-pull", "v6.1", world.pulls, tag]
    done = subprocess.run(command, cwd=served, env=ENV, capture_output=True, text=True, check=True)
    return world.file([letter(message_id, "[GIT PULL] fuse: topic", done.stdout)])


def test_a_request_to_pull_a_tag(world: World) -> None:
    file = request_pull(world, "fuse-topic", "pull@x")
    found = world.tries("--mbox", file)
    assert (found.status, found.kinds) == (0, [])
    assert found.kernel["head_commit"] == git(world.repository, "rev-parse", "topic")
    assert found.kernel["base_commit"] == git(world.repository, "rev-parse", "v6.1")
    assert [patch["subject"] for patch in found.kernel["patches"]] == ["fuse: topic one", "fuse: topic two"]
    served = world.folder / "served" / "pulls.git"
    git(served, "tag", "-f", "-a", "-m", "moved", "fuse-topic", "upon")
    found = world.tries("--mbox", file)
    assert (found.status, found.plan["trees"]) == (3, None)
    for word in ("fuse-topic", world.pulls, git(world.repository, "rev-parse", "topic")[:12], "the ref is at"):
        assert word in found.said
    git(served, "tag", "-d", "fuse-topic")
    found = world.tries("--mbox", file)
    assert found.status == 3
    assert f"kernel: pull of tags/fuse-topic from {world.pulls}" in found.said
    assert "no such ref" in found.said


def test_prerequisites_are_applied_below_the_series(world: World) -> None:
    found = world.tries("upon@x")
    assert (found.status, found.kinds) == (0, [])
    (part,) = found.plan["facts"]
    assert [(entry["status"], len(entry["patches"])) for entry in part["prerequisites"]] == [("found", 1), ("found", 1)]
    assert [(patch["subject"].rpartition("] ")[2], patch["prerequisite"]) for patch in found.kernel["patches"]] == [
        ("fuse: topic one", True), ("fuse: topic two", True), ("fuse: upon it", False),
    ]  # fmt: skip
    assert found.kernel["head_tree"] == git(world.repository, "rev-parse", "upon^{tree}")


def test_a_prerequisite_that_nobody_has_blocks_unless_the_base_is_named(world: World) -> None:
    found = world.tries("lacks@x")
    assert (found.status, found.kinds, found.plan["trees"]) == (3, [("missing-prerequisite", True)], None)
    assert "9" * 40 in found.plan["problems"][0]["message"]
    found = world.tries("lacks@x", "--base", "kernel=topic")
    assert (found.status, found.kinds) == (0, [("missing-prerequisite", False)])
    assert found.kernel["base_why"] == "--base topic"
    assert len(found.kernel["patches"]) == 1


def test_a_loop_of_prerequisites_blocks(world: World) -> None:
    found = world.plan("hen@x")
    assert found.status == 3
    assert any(blocking and "prerequisite" in kind for kind, blocking in found.kinds)


def test_a_newer_version_is_said_and_latest_takes_it(world: World) -> None:
    found = world.plan("old@x")
    assert (found.status, found.kinds, found.plan["top"]) == (0, [("newer-version", False)], "old@x")
    assert found.plan["problems"][0]["message_ids"] == ["new@x"]
    found = world.plan("old@x", "--latest")
    assert (found.status, found.kinds, found.plan["top"]) == (0, [("replaced", False)], "new@x")
    assert len(found.plan["parts"][0]["patches"]) == 2


def test_wait_takes_what_comes_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mails = thread("late", "fuse: comes in pieces", patches(world.repository, "v6.1..topic"))
    inbox = world.folder / "inbox"
    home = {"HOME": str(inbox), "PI_CONFIG": str(inbox / "config"), "PI_DIR": str(inbox)}
    coming = mails[::-1]
    deliver(coming.pop(), home)
    said: list[str] = []

    def hear(event: Event) -> None:
        if event.what == "wait" and event.state == "note":
            said.append(event.text)
            if coming:
                deliver(coming.pop(), home)

    monkeypatch.setattr(wait, "FIRST_PAUSE", 1.0)
    monkeypatch.setenv("REVIEWBOT_CACHE", str(world.folder / "cache"))
    site = load_site(world.folder / "site.yaml")
    request = pipeline.Request(names=("late@x",), wait=60.0)
    planned, _ = pipeline.plan(request, load_stack(site=site), site, hear)
    assert [len(part.patches) for part in planned.posting.parts] == [2]
    assert not any(problem.blocking for problem in planned.posting.problems)
    assert any("1 of 2 patches are missing: 2" in text for text in said)


def test_a_base_by_its_blob_ids(world: World) -> None:
    found = world.tries("alone@x")
    assert found.status == 0
    assert found.kernel["base_commit"] == git(world.repository, "rev-parse", "v6.1")
    assert found.kernel["justified"]
    assert [row["what"] for row in found.kernel["attempts"]][-1] == "v6.1: 1 of 1 blobs match"


def test_a_base_by_a_test_apply(world: World) -> None:
    found = world.tries("bare@x")
    assert found.status == 0
    assert any(
        "test-apply" in row["what"] and "all 2 patches apply" in row["result"] for row in found.kernel["attempts"]
    )


def test_what_is_merged_already_is_left_out(world: World) -> None:
    found = world.tries("merged@x", "--base", "kernel=master")
    assert found.status == 0
    assert [(patch["merged"], patch["commit"]) for patch in found.kernel["patches"]] == [
        (True, git(world.repository, "rev-parse", "master~1")), (False, found.kernel["head_commit"]),
    ]  # fmt: skip


def test_nothing_applies_and_the_plan_says_where(world: World) -> None:
    found = world.tries("stuck@x")
    assert found.status == 1
    stopped = found.kernel["stopped"]
    assert f"patch 1/1 “[PATCH 1/1] fuse: stuck” does not apply at {FILE}:" in stopped["what"]
    detail = "\n".join(stopped["detail"])
    assert "\n@@ -16," in detail
    assert f"{FILE} at master, lines" in detail
    assert "last touched by" in detail
    assert "other bases would take" in detail
    assert found.kernel["head_commit"] == found.kernel["base_commit"]


def test_a_base_commit_on_no_branch(world: World) -> None:
    found = world.tries("gone@x")
    assert found.status == 0
    assert found.kernel["base_why"].startswith("base-commit:")
    assert len(found.kernel["patches"]) == 1


def test_an_unsigned_mail_is_refused_before_anything_is_fetched(world: World) -> None:
    site = site_of(world, attestation={"require": "dkim"})
    (world.folder / "strict.yaml").write_text(yaml.safe_dump(site))
    shutil.rmtree(world.folder / "cache" / "repos", ignore_errors=True)
    found = world.plan("--try-bases", "alone@x", site="strict.yaml")
    assert (found.status, found.kinds, found.plan["trees"]) == (3, [("unattested", True)], None)
    assert not (world.folder / "cache" / "repos").exists()


def _new(path: str, text: str = "+x\n", mode: str = "100644", lines: int = 1) -> str:
    return (f"Do it.\n---\ndiff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n--- /dev/null\n"
            f"+++ b/{path}\n@@ -0,0 +1,{lines} @@\n{text}-- \n2.39.5\n")  # fmt: skip


LINK = _new("fs/fuse/evil", "+../../../../etc/passwd\n\\ No newline at end of file\n", "120000")
BINARY = ("Do it.\n---\ndiff --git a/fs/b b/fs/b\nnew file mode 100644\nindex 0000000..1111111\n"
          "Binary files /dev/null and b/fs/b differ\n-- \n2.39.5\n")  # fmt: skip


@pytest.mark.parametrize(
    ("body", "words"),
    [(LINK, "the symbolic link fs/fuse/evil -> ../../../../etc/passwd leads out of the tree"),
     (_new("fs/../../evil.c"), "leads out of the tree"),
     (BINARY, "the binary file fs/b came without its content"),
     (_new("fs/huge", ("+" + "x" * 99 + "\n") * 500_000, lines=500_000), "MiB")],
    ids=["link", "outside", "binary", "huge"],
)  # fmt: skip
def test_a_trick_is_refused_in_one_line(world: World, body: str, words: str) -> None:
    found = world.tries("--mbox", world.file([mail("evil@x", "[PATCH] fuse: trick", body)]))
    reasons = [tree["stopped"]["what"] for tree in found.plan["trees"] or () if tree["stopped"]]
    reasons += [problem["message"] for problem in found.plan["problems"] if problem["blocking"]]
    assert found.status == (1 if found.plan["trees"] else 3)
    assert [reason for reason in reasons if words in reason and "\n" not in reason and len(reason) < 400], reasons
    assert not list(world.folder.rglob("evil*"))


def test_carriage_returns_on_the_way_do_not_matter(world: World) -> None:
    mails = [m.replace(b"\n", b"\r\n") for m in thread("crlf", "fuse: x", patches(world.repository, "v6.1..topic"))]
    found = world.tries("--mbox", world.file(mails))
    assert found.status == 0
    assert found.kernel["head_tree"] == git(world.repository, "rev-parse", "topic^{tree}")


def test_a_series_that_was_not_sent(world: World) -> None:
    git(world.repository, "format-patch", "-q", "--cover-letter", "-o", str(world.folder / "out"), "v6.1..topic")
    found = world.tries("--mbox", "out")
    assert found.status == 0
    assert found.kernel["head_tree"] == git(world.repository, "rev-parse", "topic^{tree}")
