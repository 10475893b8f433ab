# SPDX-License-Identifier: GPL-2.0-or-later
"""What users name, and what `plan` makes of it: a real archive, real repositories, the real command line."""

import subprocess

import pytest

from demo.inbox import deliver
from reviewbot import pipeline
from reviewbot.config import load_site, load_stack
from reviewbot.intake import Ask, wait
from reviewbot.model.progress import Event
from reviewbot.pipeline.request import Request
from tests.mails import mbox
from tests.repos import ENV, git
from tests.stories.subscriber import Subscriber, letter, patches, thread


def test_a_patch_in_the_middle_names_the_posting(user: Subscriber) -> None:
    found = user.plan("k.1@x")
    assert found.status == 0
    assert (found.plan["top"], found.plan["asked"]) == ("bomb@x", ["k.1@x"])
    assert [(part["component"], part["patches"]) for part in found.plan["parts"]] == [
        ("kernel", ["k.1@x", "k.2@x"]),
        ("libfuse", ["l.1@x"]),
    ]
    assert [source["component"] for source in found.plan["sources"]] == ["kernel", "libfuse", "e2fsprogs"]
    assert found.plan["attestation"] == {"dkim": {"none": 3}, "patatt": {"none": 3}}
    assert found.plan["trees"] is None
    assert not (user.folder / "cache" / "repos").exists()


def test_two_threads_are_one_posting(user: Subscriber) -> None:
    found = user.tries("alone@x", "http://lore.kernel.org/r/lib@x")
    assert (found.status, found.kinds) == (0, [])
    assert [(tree["component"], len(tree["patches"])) for tree in found.plan["trees"]] == [
        ("kernel", 2),
        ("libfuse", 1),
    ]


def test_a_manifest_of_a_mail_a_mailbox_and_a_range(user: Subscriber) -> None:
    (user.folder / "lib.mbox").write_bytes(mbox(thread("m", "lib: x", patches(user.folder / "libfuse", "v1..topic"))))
    (user.folder / "posting.yaml").write_text(
        "title: all of it\nbase: {kernel: v6.1}\nparts:\n- message_id: alone@x\n- mbox: lib.mbox\n"
        "- {component: kernel, git: {url: kernel, range: topic..upon}}\n"
    )
    found = user.tries("--manifest", "posting.yaml")
    assert (found.status, found.plan["subject"], found.plan["manifest"]) == (0, "all of it", "posting.yaml")
    assert found.kernel["base_why"] == "v6.1, named by the manifest"
    assert [patch["subject"].rpartition("] ")[2] for patch in found.kernel["patches"]] == [
        "fuse: topic one",
        "fuse: topic two",
        "fuse: upon it",
    ]
    assert found.kernel["head_tree"] == git(user.repository, "rev-parse", "upon^{tree}")


def request_pull(user: Subscriber, tag: str, message_id: str) -> str:
    served = user.folder / "served" / "pulls.git"
    git(served, "tag", "-f", "-a", "-m", "please", tag, "topic")
    command = ["git", "request-pull", "v6.1", user.pulls, tag]
    done = subprocess.run(command, cwd=served, env=ENV, capture_output=True, text=True, check=True)
    return user.file([letter(message_id, "[GIT PULL] fuse: topic", done.stdout)])


def test_a_request_to_pull_a_tag(user: Subscriber) -> None:
    file = request_pull(user, "fuse-topic", "pull@x")
    found = user.tries("--mbox", file)
    assert (found.status, found.kinds) == (0, [])
    assert found.kernel["head_commit"] == git(user.repository, "rev-parse", "topic")
    assert found.kernel["base_commit"] == git(user.repository, "rev-parse", "v6.1")
    assert [patch["subject"] for patch in found.kernel["patches"]] == ["fuse: topic one", "fuse: topic two"]
    served = user.folder / "served" / "pulls.git"
    git(served, "tag", "-f", "-a", "-m", "moved", "fuse-topic", "upon")
    found = user.tries("--mbox", file)
    assert (found.status, found.plan["trees"]) == (3, None)
    for word in ("fuse-topic", user.pulls, git(user.repository, "rev-parse", "topic")[:12], "the ref is now at"):
        assert word in found.said
    git(served, "tag", "-d", "fuse-topic")
    found = user.tries("--mbox", file)
    assert found.status == 3
    assert f"kernel: pull of tags/fuse-topic from {user.pulls}" in found.said
    assert "no such ref" in found.said


def test_prerequisites_are_applied_below_the_series(user: Subscriber) -> None:
    found = user.tries("upon@x")
    assert (found.status, found.kinds) == (0, [])
    (part,) = found.plan["facts"]
    assert [(entry["status"], len(entry["patches"])) for entry in part["prerequisites"]] == [("found", 1), ("found", 1)]
    assert [(patch["subject"].rpartition("] ")[2], patch["prerequisite"]) for patch in found.kernel["patches"]] == [
        ("fuse: topic one", True),
        ("fuse: topic two", True),
        ("fuse: upon it", False),
    ]
    assert found.kernel["head_tree"] == git(user.repository, "rev-parse", "upon^{tree}")


def test_a_prerequisite_that_nobody_has_blocks_unless_the_base_is_named(user: Subscriber) -> None:
    found = user.tries("lacks@x")
    assert (found.status, found.kinds, found.plan["trees"]) == (3, [("missing-prerequisite", True)], None)
    assert "9" * 40 in found.plan["problems"][0]["message"]
    found = user.tries("lacks@x", "--base", "kernel=topic")
    assert (found.status, found.kinds) == (0, [("missing-prerequisite", False)])
    assert found.kernel["base_why"] == "--base topic"
    assert len(found.kernel["patches"]) == 1


def test_a_loop_of_prerequisites_blocks(user: Subscriber) -> None:
    found = user.plan("hen@x")
    assert found.status == 3
    assert any(blocking and "prerequisite" in kind for kind, blocking in found.kinds)


def test_a_newer_version_is_said_and_latest_takes_it(user: Subscriber) -> None:
    found = user.plan("old@x")
    assert (found.status, found.kinds, found.plan["top"]) == (0, [("newer-version", False)], "old@x")
    assert found.plan["problems"][0]["message_ids"] == ["new@x"]
    found = user.plan("old@x", "--latest")
    assert (found.status, found.kinds, found.plan["top"]) == (0, [("replaced", False)], "new@x")
    assert len(found.plan["parts"][0]["patches"]) == 2


def test_wait_takes_what_comes_meanwhile(user: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    mails = thread("late", "fuse: comes in pieces", patches(user.repository, "v6.1..topic"))
    inbox = user.folder / "inbox"
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
    monkeypatch.setenv("REVIEWBOT_CACHE", str(user.folder / "cache"))
    site = load_site(user.folder / "site.yaml")
    request = Request(series=Ask(names=("late@x",), wait=60.0))
    planned, _ = pipeline.make_plan(request, load_stack(site=site), site, hear)
    assert [len(part.patches) for part in planned.posting.parts] == [2]
    assert not any(problem.blocking for problem in planned.posting.problems)
    assert any("1 of 2 patches is missing: 2" in text for text in said)
