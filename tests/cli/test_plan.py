# SPDX-License-Identifier: GPL-2.0-or-later
"""What `plan` says of the series that was named."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.command import called
from tests.mails import TOP, diff, mail, mbox, posting

RFC = [m.replace(b"[PATCHSET v2 1/1] lib", b"[PATCHSET RFC v2 1/1] lib") for m in posting()]


def plan(
    folder: Path, *arguments: str, mails: list[bytes] = RFC, status: int = 0, stdin: bytes = b"", columns: str = "200"
) -> str:
    (folder / "thread.mbox").write_bytes(mbox(mails))
    folders = {"REVIEWBOT_CACHE": str(folder / "cache"), "REVIEWBOT_SITE": str(folder / "site.yaml")}
    done = called("plan", *arguments, cwd=folder, env={**os.environ, **folders, "COLUMNS": columns}, said=stdin)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text("archive: http://127.0.0.1:9/all\n")
    return tmp_path


def test_rfc_parts_are_shown_left_out_and_how_to_have_them(site: Path) -> None:
    said = plan(site, "--mbox", "thread.mbox")
    assert "RFC (left out) libfuse: change it" in said
    assert "6 patches in 3 parts; 1 RFC part (2 patches) left out: --rfc includes it" in said
    said = plan(site, "--rfc", "--mbox", "thread.mbox")
    assert "RFC libfuse: change it" in said and "left out" not in said


def test_the_named_mail_is_said(site: Path) -> None:
    name = "https://lore.kernel.org/r/kernel.2@example.org"
    said = plan(site, "--mbox", "thread.mbox", name)
    assert "kernel patch 2/2, “kernel: change it”; the whole posting is taken (--part-only" in said
    said = plan(site, "--mbox", "thread.mbox", name, "--part-only")
    assert "kernel patch 2/2, “kernel: change it”\n" in said
    assert "only a part of the posting was requested; 2 others left out" in said
    assert json.loads(plan(site, "--mbox", "thread.mbox", name, "--json"))["asked"] == ["kernel.2@example.org"]


def test_of_folders_of_patches_no_mail_was_named(site: Path) -> None:
    for name, path in (("libfuse", "lib/fuse_opt.c"), ("e2fsprogs", "misc/fuse2fs.c")):
        (site / name).mkdir()
        patch = re.sub(rb"Message-ID: .*\n", b"", mail("x@x", f"[PATCH {name}] change it", diff(path, word=name)))
        (site / name / "0001-change-it.patch").write_bytes(
            b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001\n" + patch
        )
    said = plan(site, "--mbox", "libfuse", "--mbox", "e2fsprogs")
    assert "2 patches in 2 parts" in said and "named" not in said


def test_of_two_mailboxes_no_mail_was_named(site: Path) -> None:
    (site / "one.mbox").write_bytes(mbox([mail("x@x", "[PATCH] fuse2fs: change it", diff("misc/fuse2fs.c"))]))
    said = plan(site, "--mbox", "thread.mbox", "--mbox", "one.mbox", mails=posting(("kernel", "libfuse")))
    assert "5 patches in 3 parts" in said and "named" not in said


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
    assert "“[PATCH v3] kernel: all at once” <n@x> is a separate posting, another one in its thread: left out" in plan(
        site, "--mbox", "thread.mbox", TOP, mails=posting() + new
    )


def test_eighty_columns_are_enough(site: Path) -> None:
    long = "a subject that is much longer than what a terminal has beside the other columns of this table"
    trailer = "\nprerequisite-patch-id: 0123456789abcdef0123456789abcdef01234567\n"
    mails = [mail("a@x", f"[PATCH] {long}", diff("fs/fuse/file.c") + trailer)]
    said = plan(site, "--mbox", "thread.mbox", mails=mails, status=3, columns="80")
    assert max(map(len, said.splitlines())) <= 80
    assert "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git" in said
    assert "missing: prerequisite-patch-id 0123456789ab:\n" in said
    assert "routed by" not in said
    assert "fstests (23 tests: generic/001 generic/002" in said
    assert "signed    DKIM: 1 unsigned\n" in "\n".join(line.rstrip() for line in said.splitlines()) + "\n"


def test_only_what_is_changed_or_needed_is_listed(site: Path) -> None:
    def listed(*arguments: str) -> list[str]:
        found = json.loads(plan(site, "--json", "--mbox", "thread.mbox", *arguments, mails=posting(("kernel",))))
        assert found["trees"] is None
        return [source["component"] for source in found["sources"]]

    assert listed("--legs", "ext4", "--suites", "smoke") == ["kernel", "libfuse", "e2fsprogs"]
    assert listed("--legs", "ext4") == ["kernel", "libfuse", "e2fsprogs", "fstests"]
    assert "lkl" in listed("--legs", "lklfuse")


def test_json_has_all_that_intake_found(site: Path) -> None:
    trailer = "\nbase-commit: 0123456789abcdef0123456789abcdef01234567\nDepends-on: <b@x>\n"
    mails = [mail("a@x", "[PATCH v2] fuse: x", diff("fs/fuse/file.c") + trailer)]
    found = json.loads(plan(site, "--json", "--mbox", "thread.mbox", mails=mails, status=3))
    (part,) = found["facts"]
    assert (part["version"], part["base_commit"], part["routed_by"]) == (
        2,
        "0123456789abcdef" * 2 + "01234567",
        "paths, e.g. fs/fuse/file.c",
    )
    (below,) = part["prerequisites"]
    assert (below["kind"], below["value"], below["status"], below["patches"]) == ("message-id", "b@x", "missing", [])
    assert part["attestation"]["a@x"]["dkim"] == "none"
    assert found["attestation"] == {"dkim": {"none": 1}, "patatt": {"none": 1}}


def test_bases_of_a_blocked_posting_are_not_tried(site: Path) -> None:
    said = plan(site, "--try-bases", "--mbox", "thread.mbox", mails=posting()[:-1], status=3)
    assert "No base was tried, see below." in said
    assert not (site / "cache" / "repos").exists()


def test_a_budget_is_said(site: Path) -> None:
    said = plan(site, "--mbox", "thread.mbox", "--budget", "1h30m", columns="80")
    assert "the most valuable of these tests that run in 90 min" in " ".join(said.split())
    assert json.loads(plan(site, "--mbox", "thread.mbox", "--budget", "30m", "--json"))["budget"] == 1800.0


def test_the_variant_is_shown_and_a_wrong_one_is_a_wrong_call(site: Path) -> None:
    said = plan(site, "--mbox", "thread.mbox", "--variant", "lockdep,kasan")
    assert "variant   kasan,lockdep: use after free" in said
    assert json.loads(plan(site, "--mbox", "thread.mbox", "--variant", "kasan", "--json"))["variant"] == "kasan"
    plan(site, "--mbox", "thread.mbox", "--variant", "kasn", status=2)
