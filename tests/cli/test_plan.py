# SPDX-License-Identifier: GPL-2.0-or-later
"""What `plan` says of the series that was named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mails import TOP, diff, mail, mbox, posting

RFC = [m.replace(b"[PATCHSET v2 1/1] lib", b"[PATCHSET RFC v2 1/1] lib") for m in posting()]


def plan(folder: Path, *arguments: str, mails: list[bytes] = RFC, status: int = 0, stdin: bytes = b"") -> str:
    (folder / "thread.mbox").write_bytes(mbox(mails))
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "plan", *arguments], capture_output=True, check=False, cwd=folder,
        env={**os.environ, "REVIEWBOT_CACHE": str(folder / "cache"), "REVIEWBOT_SITE": str(folder / "site.yaml"),
             "COLUMNS": "200"}, input=stdin,
    )  # fmt: skip
    assert done.returncode == status, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text("archive: http://127.0.0.1:9/all\n")
    return tmp_path


def test_rfc_parts_are_shown_left_out_and_how_to_have_them(site: Path) -> None:
    said = plan(site, "--mbox", "thread.mbox")
    assert "RFC (left out) libfuse: change it" in said
    assert "1 RFC part left out: --rfc takes it in" in said
    said = plan(site, "--rfc", "--mbox", "thread.mbox")
    assert "RFC libfuse: change it" in said and "left out" not in said


def test_the_named_mail_is_said(site: Path) -> None:
    name = "https://lore.kernel.org/r/kernel.2@example.org"
    said = plan(site, "--mbox", "thread.mbox", name)
    assert "patch 2/2 of kernel 1/1, “kernel: change it”; the whole posting is taken (--part-only" in said
    said = plan(site, "--mbox", "thread.mbox", name, "--part-only")
    assert "patch 2/2 of kernel 1/1, “kernel: change it”\n" in said
    assert "only a part of the posting was asked for; 2 others left out" in said
    assert json.loads(plan(site, "--mbox", "thread.mbox", name, "--json"))["asked"] == ["kernel.2@example.org"]


def test_a_mailbox_from_standard_input(site: Path) -> None:
    found = json.loads(plan(site, "--json", "--mbox", "-", stdin=mbox(posting())))
    assert [part["component"] for part in found["parts"]] == ["kernel", "libfuse", "e2fsprogs"]


def test_what_is_pulled_and_the_base_of_a_manifest_are_shown(site: Path) -> None:
    (site / "posting.yaml").write_text(
        "title: all of it\nbase: {kernel: v7.0-rc1}\nparts:\n"
        "- {component: kernel, git: {url: 'https://example.org/linux.git', range: v7.0-rc1..mine}}\n"
    )
    said = plan(site, "--manifest", "posting.yaml")
    assert said.startswith("all of it\nhttps://example.org/linux.git\n")
    assert "https://example.org/linux.git mine, after v7.0-rc1" in said
    assert "named by the manifest" in said
    assert "named by --base" in plan(site, "--manifest", "posting.yaml", "--base", "kernel=v6.19")
    (part,) = json.loads(plan(site, "--manifest", "posting.yaml", "--json"))["parts"]
    assert part["patches"] == [] and part["pull"]["ref"] == "mine"


def test_two_versions_in_one_thread(site: Path) -> None:
    new = [mail("n@x", "[PATCH v3] kernel: all at once", diff("fs/fuse/file.c"), parent=TOP)]
    assert "“[PATCH v3] kernel: all at once” answers this posting and is one of its own: left out" in plan(
        site, "--mbox", "thread.mbox", TOP, mails=posting() + new
    )
