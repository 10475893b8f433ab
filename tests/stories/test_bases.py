# SPDX-License-Identifier: GPL-2.0-or-later
"""Which base `plan --try-bases` finds, and what it refuses: real repositories, the real command line."""

import shutil

import pytest
import yaml

from tests.mails import mail
from tests.repos import git
from tests.stories.subscriber import Subscriber, patches, site_of, thread
from tests.trees.series import FILE


def test_a_base_by_its_blob_ids(user: Subscriber) -> None:
    found = user.tries("alone@x")
    assert found.status == 0
    assert found.kernel["base_commit"] == git(user.repository, "rev-parse", "v6.1")
    assert found.kernel["justified"]
    assert [row["what"] for row in found.kernel["attempts"]][-1] == "v6.1: 1 of 1 blobs match"


def test_a_base_by_a_test_apply(user: Subscriber) -> None:
    found = user.tries("bare@x")
    assert found.status == 0
    assert any(
        "test-apply" in row["what"] and "all 2 patches apply" in row["result"] for row in found.kernel["attempts"]
    )


def test_what_is_merged_already_is_left_out(user: Subscriber) -> None:
    found = user.tries("merged@x", "--base", "kernel=master")
    assert found.status == 0
    assert [(patch["merged"], patch["commit"]) for patch in found.kernel["patches"]] == [
        (True, git(user.repository, "rev-parse", "master~1")),
        (False, found.kernel["head_commit"]),
    ]


def test_nothing_applies_and_the_plan_says_where(user: Subscriber) -> None:
    found = user.tries("stuck@x")
    assert found.status == 1
    stopped = found.kernel["stopped"]
    assert f"patch 1/1 “[PATCH 1/1] fuse: stuck” does not apply at {FILE}:" in stopped["what"]
    detail = "\n".join(stopped["detail"])
    assert "\n@@ -16," in detail
    assert f"{FILE} at master, lines" in detail
    assert "last touched by" in detail
    assert "other bases would accept" in detail
    assert found.kernel["head_commit"] == found.kernel["base_commit"]


def test_a_base_commit_on_no_branch(user: Subscriber) -> None:
    found = user.tries("gone@x")
    assert found.status == 0
    assert found.kernel["base_why"].startswith("base-commit:")
    assert len(found.kernel["patches"]) == 1


def test_an_unsigned_mail_is_refused_before_anything_is_fetched(user: Subscriber) -> None:
    site = site_of(user, attestation={"require": "dkim"})
    (user.folder / "strict.yaml").write_text(yaml.safe_dump(site))
    shutil.rmtree(user.folder / "cache" / "repos", ignore_errors=True)
    found = user.plan("--try-bases", "alone@x", site="strict.yaml")
    assert (found.status, found.kinds, found.plan["trees"]) == (3, [("unattested", True)], None)
    assert not (user.folder / "cache" / "repos").exists()


def _new(path: str, text: str = "+x\n", mode: str = "100644", lines: int = 1) -> str:
    return (
        f"Do it.\n---\ndiff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n--- /dev/null\n"
        f"+++ b/{path}\n@@ -0,0 +1,{lines} @@\n{text}-- \n2.39.5\n"
    )


LINK = _new("fs/fuse/evil", "+../../../../etc/passwd\n\\ No newline at end of file\n", "120000")
BINARY = (
    "Do it.\n---\ndiff --git a/fs/b b/fs/b\nnew file mode 100644\nindex 0000000..1111111\n"
    "Binary files /dev/null and b/fs/b differ\n-- \n2.39.5\n"
)


@pytest.mark.parametrize(
    ("body", "words"),
    [(LINK, "the symbolic link fs/fuse/evil -> ../../../../etc/passwd points outside the tree"),
     (_new("fs/../../evil.c"), "points outside the tree"),
     (BINARY, "the binary file fs/b came without its content"),
     (_new("fs/huge", ("+" + "x" * 99 + "\n") * 500_000, lines=500_000), "MiB")],
    ids=["link", "outside", "binary", "huge"],
)  # fmt: skip
def test_a_trick_is_refused_in_one_line(user: Subscriber, body: str, words: str) -> None:
    found = user.tries("--mbox", user.file([mail("evil@x", "[PATCH] fuse: trick", body)]))
    reasons = [tree["stopped"]["what"] for tree in found.plan["trees"] or () if tree["stopped"]]
    reasons += [problem["message"] for problem in found.plan["problems"] if problem["blocking"]]
    assert found.status == (1 if found.plan["trees"] else 3)
    assert [reason for reason in reasons if words in reason and "\n" not in reason and len(reason) < 400], reasons
    assert not list(user.folder.rglob("evil*"))


def test_carriage_returns_on_the_way_do_not_matter(user: Subscriber) -> None:
    mails = [m.replace(b"\n", b"\r\n") for m in thread("crlf", "fuse: x", patches(user.repository, "v6.1..topic"))]
    found = user.tries("--mbox", user.file(mails))
    assert found.status == 0
    assert found.kernel["head_tree"] == git(user.repository, "rev-parse", "topic^{tree}")


def test_a_series_that_was_not_sent(user: Subscriber) -> None:
    git(user.repository, "format-patch", "-q", "--cover-letter", "-o", str(user.folder / "out"), "v6.1..topic")
    found = user.tries("--mbox", "out")
    assert found.status == 0
    assert found.kernel["head_tree"] == git(user.repository, "rev-parse", "topic^{tree}")
