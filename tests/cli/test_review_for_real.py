# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot review` of the demo's posting, built for real, and what b4 is told of it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from demo.__main__ import SITE
from demo.posting import Version, mails
from reviewbot.report import schemas
from tests.mails import mbox

pytestmark = pytest.mark.build


@dataclass(frozen=True, slots=True)
class User:
    """With this user's cache, and runs of their own."""

    folder: Path

    def call(self, *arguments: str, raw: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        own = {"REVIEWBOT_DATA": str(self.folder / "data"), "REVIEWBOT_SITE": str(self.folder / "site.yaml"), "CI": ""}
        return subprocess.run(
            [sys.executable, "-m", "reviewbot", *arguments], input=raw, capture_output=True, check=False,
            env={**os.environ, **own},
        )  # fmt: skip

    def thread(self, raw: list[bytes]) -> str:
        path = self.folder / "thread.mbox"
        path.write_bytes(mbox(raw))
        return str(path)

    def file(self, name: str) -> Any:
        return json.loads((self.folder / "data" / "runs" / "latest" / name).read_bytes())


@pytest.fixture
def user(tmp_path: Path) -> User:
    (tmp_path / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9/nothing"))
    return User(tmp_path)


def test_the_demos_posting_is_reviewed_patch_by_patch_and_b4_is_told(user: User) -> None:
    posting = list(mails(Version(1)))
    done = user.call("review", "--mbox", user.thread(posting))
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    said = done.stdout.decode()
    assert "PASS  all 4 patches build individually; the review found no errors" in said
    assert "nothing was booted or tested" in said
    review = user.file("review.json")
    jsonschema.validate(review, schemas()["review"])
    assert [(p["component"], p["number"], p["build"]["state"]) for p in review["patches"]] == [
        ("kernel", 1, "built"),
        ("libfuse", 1, "built"),
        ("libfuse", 2, "built"),
        ("e2fsprogs", 1, "built"),
    ]
    told: dict[str, list[str]] = {}
    for raw in posting:
        for entry in json.loads(user.call("b4-check", raw=raw).stdout):
            told.setdefault(entry["tool"], []).append(entry["status"])
    assert told["reviewbot"] == ["pass"] * 4, "the covers"
    assert told["reviewbot/build"] == ["pass"] * 8
    assert "fail" not in told["reviewbot/review"]


def test_a_patch_that_only_a_later_one_makes_build_is_named(user: User) -> None:
    """The first patch of libfuse uses what the second adds."""
    posting = []
    for raw in mails(Version(1)):
        if b"\nMessage-ID: <20261102.v1.libfuse" not in raw:
            continue
        raw = raw.replace(b"sizeof(struct fuse_in_header)", b"REQUEST_HEADER_SIZE")
        posting.append(raw.replace(SECOND_STAT, SECOND_STAT_MORE).replace(SECOND_DIFF, MORE + SECOND_DIFF))
    done = user.call("review", "--mbox", user.thread(posting))
    assert done.returncode == 1, done.stderr.decode() + done.stdout.decode()
    verdict = user.file("verdict.json")
    assert verdict["kind"] == "BUILD-FAILS"
    assert verdict["summary"].startswith("libfuse patch 1/2 does not build on its own: lib/fuse_lowlevel.c:")
    assert verdict["summary"].endswith("; head builds: this breaks git bisect")
    assert "REQUEST_HEADER_SIZE" in verdict["findings"][0]["what"]
    states = [patch["build"]["state"] for patch in user.file("review.json")["patches"]]
    assert states == ["failed", "built"]


SECOND_STAT = b" util/fusermount.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n"
SECOND_STAT_MORE = SECOND_STAT.replace(b"1 file changed", b"2 files changed")
SECOND_DIFF = b"diff --git a/util/fusermount.c"
MORE = rb"""diff --git a/lib/fuse_i.h b/lib/fuse_i.h
--- a/lib/fuse_i.h
+++ b/lib/fuse_i.h
@@ -13,2 +13,3 @@
 #include <stdbool.h>
+#define REQUEST_HEADER_SIZE sizeof(struct fuse_in_header)
 #include <errno.h>
"""
