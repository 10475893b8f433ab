# SPDX-License-Identifier: GPL-2.0-or-later
"""What users and the world do wrong, at the command line: one line, the right status, nothing lost."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.inbox import installed, serve
from tests.mails import PATHS, TOP, diff, mail, mbox, posting
from tests.repos import git
from tests.user import COMPONENTS, User
from tests.web import web_page, web_site


@pytest.mark.skipif(not installed(), reason="public-inbox is not installed")
@pytest.mark.parametrize("command", ["plan", "apply-and-test"])
def test_an_unknown_message_id(user: User, command: str) -> None:
    with serve(posting(), user.folder / "inbox") as url:
        user.site(archive=url)
        user.refuses(2, "nowhere@example.org", command, "nowhere@example.org")
    assert user.runs == []


@pytest.mark.parametrize("command", ["plan", "apply-and-test"])
def test_an_unreachable_archive(user: User, command: str) -> None:
    user.site(archive="http://127.0.0.1:9/all")
    said = user.refuses(4, "127.0.0.1:9", command, "a@example.org")
    assert "--mbox" in said


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("fuse", 2, "'fuse' is not a Message-ID"),
        ("https://lore.kernel.org/linux-fsdevel/?q=fuse", 2, "names no mail"),
        ("https://example.org/", 2, "names no mail"),
        ("ftp://example.org/a@b", 2, "names no mail"),
        ("http://127.0.0.1:9/project/x/list/?series=5", 2, "127.0.0.1 is not a public address"),
    ],
)
def test_a_name_that_names_nothing(user: User, name: str, status: int, words: str) -> None:
    user.refuses(status, words, "plan", name)


def test_a_folder_is_no_name_of_a_posting(user: User) -> None:
    assert f"--mbox {user.folder}" in user.refuses(2, "is not a Message-ID", "plan", str(user.folder))


def test_a_number_that_patchwork_does_not_know(user: User) -> None:
    user.site(network={"private": ["127.0.0.1"]})
    with web_site({}) as (url, _):
        user.refuses(2, "has no series/98765", "plan", f"{url}/series/98765/")


def test_no_name_at_all(user: User) -> None:
    assert "--manifest" in user.refuses(2, "which series?", "plan")


def test_no_time_for_blame_is_a_time_and_none_to_wait_is_not(user: User) -> None:
    user.refuses(2, "which series?", "apply-and-test", "--blame", "0s")
    user.refuses(2, "'0s' is not a valid waiting time", "apply-and-test", "--wait", "0s")


@pytest.mark.parametrize("option", ["--compat", "--prefixes", "--deep"])
def test_what_compares_with_base_does_not_go_without(user: User, option: str) -> None:
    user.refuses(2, "compare with base", "apply-and-test", "--mbox", "/nowhere", "--no-compare", option)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parts:\n- message_id: a@b\n  componnent: kernel\n", "posting.yaml:3: parts.0.componnent: unknown key"),
        ("parts:\n- {}\n", "posting.yaml:2: parts.0: a part has one of"),
        ("parts: [\n", "posting.yaml:2"),
        ("parts:\n- {component: kernel, git: {url: -x, range: a..b}}\n", "posting.yaml:2: parts.0.git.url"),
    ],
)
def test_a_wrong_manifest_is_named_with_its_line(user: User, text: str, words: str) -> None:
    (user.folder / "posting.yaml").write_text(text)
    user.refuses(2, words, "plan", "--manifest", "posting.yaml")


def test_a_mailbox_of_several_postings_names_them(user: User) -> None:
    other = mail("x@example.org", "[PATCH] mine", diff(PATHS["kernel"]), author="B <b@example.org>")
    said = user.refuses(2, "thread.mbox holds 2 postings", "plan", "--mbox", user.thread([*posting(), other]))
    assert TOP in said and "x@example.org" in said


def test_a_posting_that_is_rfc_only_needs_to_be_asked_for(user: User) -> None:
    mails = [m.replace(b"[PATCHSET v2", b"[PATCHSET RFC v2") for m in posting()]
    assert "--rfc" in user.refuses(2, "all of this posting is RFC", "plan", "--mbox", user.thread(mails), TOP)
    assert user.call("plan", "--rfc", "--mbox", user.thread(mails), TOP).returncode == 0


def test_a_login_page_where_the_archive_should_be(user: User) -> None:
    with web_page(200, b"<!DOCTYPE html><html>Please log in</html>") as url:
        user.site(archive=url)
        user.refuses(4, url, "plan", "a@example.org")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>\n<html><body>From here</body></html>\n", "it is a web page"),
        (b"", "thread.mbox"),
        (b"\x00\xff\xfe" * 4000, "thread.mbox"),
        (b"hello\nworld\n", "thread.mbox"),
    ],
    ids=["html", "empty", "binary", "text"],
)
def test_a_file_that_is_no_mbox(user: User, content: bytes, words: str) -> None:
    user.refuses(2, words, "plan", "--mbox", user.thread(content))


def test_an_mbox_that_is_not_there(user: User) -> None:
    user.refuses(2, "nowhere.mbox", "plan", "--mbox", "nowhere.mbox")


def test_broken_encodings_do_not_hide_the_good_mails(user: User) -> None:
    broken = mail("bad@example.org", "=?utf-8?q?=FF=FE_broken?=", parent=TOP)
    broken = broken.replace(b'charset="utf-8"', b'charset="no-such-charset"') + b"\xff\xfe\x00 =?koi8-r?b?!!!?=\n"
    done = user.call("plan", "--mbox", user.thread([*posting(), broken]), TOP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("e2fsprogs") >= 1
    assert "Traceback" not in done.stderr


def test_a_hundred_megabytes_of_junk(user: User) -> None:
    path = Path(user.thread(b""))
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"From the beginning nothing here is a mail. \xff\x00\n" * 24000)
    assert path.stat().st_size > 100 << 20
    user.refuses(2, "larger than 64 MiB", "plan", "--mbox", str(path))


def test_many_megabytes_of_junk_around_a_posting_do_not_hide_it(user: User) -> None:
    path = Path(user.thread(b"no mail at all \xff\x00\n" * 200_000 + mbox(posting())))
    with path.open("ab") as file:
        file.write(b"From nobody Mon Jan  1 00:00:00 2024\nnothing here is a mail. \xff\x00\n" * 100_000)
    assert path.stat().st_size > 8 << 20
    done = user.call("plan", "--mbox", str(path), TOP, "--json")
    assert done.returncode == 0, done.stderr
    assert [part["component"] for part in json.loads(done.stdout)["parts"]] == list(COMPONENTS)


@pytest.mark.parametrize("command", ["plan", "apply-and-test"])
def test_a_thread_without_patches(user: User, command: str) -> None:
    talk = [mail(TOP, "[RFC] what do you think?"), mail("2@example.org", "Re: what do you think?", parent=TOP)]
    user.refuses(2, "there is no patch in the thread", command, "--mbox", user.thread(talk), TOP)
    assert user.runs == []


def without(message_id: str) -> list[bytes]:
    return [m for m in posting() if f"Message-ID: <{message_id}>".encode() not in m]


def test_a_missing_patch_is_named_by_the_plan(user: User) -> None:
    done = user.call("plan", "--mbox", user.thread(without("libfuse.2@example.org")), TOP)
    assert done.returncode == 3
    assert "1 of 2 patches is missing: 2" in done.stdout


def both() -> list[bytes]:
    return [*posting(["kernel"]), mail("x@example.org", "[PATCH] both", diff(PATHS["kernel"], PATHS["libfuse"]))]


def foreign(*paths: str) -> list[bytes]:
    return [mail(TOP, "[PATCH] a change", diff(*paths), to="nobody@example.org")]


@pytest.mark.parametrize(
    ("mails", "words"),
    [
        (without("libfuse.2@example.org"), "missing"),
        (foreign(PATHS["kernel"], PATHS["libfuse"]), "kernel, libfuse"),
        (foreign("README.of.nobody", "no/such/place.zig"), "no component"),
    ],
    ids=["missing patch", "two components", "no component"],
)
def test_a_posting_that_cannot_be_tested_is_blocked_and_recorded(user: User, mails: list[bytes], words: str) -> None:
    done = user.call("apply-and-test", "--mbox", user.thread(mails), TOP)
    assert done.returncode == 3, done.stderr + done.stdout
    assert words in done.stdout
    (run,) = user.runs
    assert (run / "verdict.json").exists() and (run / "reply.eml").exists() and (run / "mails.mbox").exists()


@pytest.mark.parametrize(
    ("base", "words"),
    [("kernel=v99.9", "v99.9"), ("kernel=-x", "-x"), ("nothing=v1", "no such component"), ("kernel", "COMPONENT=REF")],
)
def test_a_wrong_base(user: User, base: str, words: str) -> None:
    said = user.refuses(2, words, "apply-and-test", "--mbox", user.thread(posting()), TOP, "--base", base)
    assert "--base" in said
    assert user.runs == [], "nothing was tested: the question was wrong"


def test_a_posting_that_does_not_apply_names_patch_file_and_hunk(user: User) -> None:
    (user.folder / "kernel" / PATHS["kernel"]).write_text("something else\n")
    git(user.folder / "kernel", "commit", "-qam", "moved on")
    done = user.call("apply-and-test", "--mbox", user.thread(posting()), TOP)
    assert done.returncode == 1, done.stderr
    assert "DOES-NOT-APPLY" in done.stdout
    assert PATHS["kernel"] in done.stdout and "kernel: step 1" in done.stdout
    assert "patch does not apply" in done.stdout, "git's own words are kept"
    assert git(user.folder / "kernel", "status", "--porcelain") == "", "the user's repository is as it was"
    assert git(user.folder / "kernel", "worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("archive: [", "site.yaml:1"),
        ("accelerator: warp\n", "site.yaml:1: accelerator"),
        ("archive: https://x\nacelerator: kvm\n", "site.yaml:2: acelerator"),
        ("- a\n- b\n", "site.yaml:1"),
        ("components:\n  kernel: {provider: cvs}\n", "site.yaml:2"),
        ("components:\n  toaster: {provider: dir, path: /x}\n", "toaster"),
        ("machine: {memory: lots}\n", "memory"),
        ("\x00", "site.yaml"),
    ],
)
def test_a_malformed_site_file(user: User, text: str, words: str) -> None:
    (user.folder / "site.yaml").write_text(text)
    user.refuses(2, words, "plan", "--mbox", user.thread(posting()), TOP)


def test_a_site_file_that_is_not_there(user: User) -> None:
    user.refuses(2, "nowhere.yaml", "plan", "--site", "nowhere.yaml", "--mbox", user.thread(posting()))


def on_full_disk(user: User, folder: str, work: Callable[[], None], size: str = "200k") -> None:
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    (user.folder / folder).mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "x", user.folder / folder], check=False
    ).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        work()
    finally:
        subprocess.run(["umount", user.folder / folder], check=True)


def test_a_full_disk_under_the_cache(user: User) -> None:
    big = user.folder / "kernel" / "fs" / "fuse" / "big.c"
    big.write_bytes(os.urandom(2 << 20))
    git(user.folder / "kernel", "add", "-A")
    git(user.folder / "kernel", "commit", "-qm", "big")

    def work() -> None:
        done = user.call("apply-and-test", "--mbox", user.thread(posting()), TOP)
        assert done.returncode == 4, done.stderr + done.stdout
        assert "disk is full" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    on_full_disk(user, "cache", work)
    (run,) = user.runs
    assert (run / "plan.json").exists() and (run / "mails.mbox").exists(), "what was known is kept"


def test_a_full_disk_under_the_runs(user: User) -> None:
    def work() -> None:
        user.refuses(4, "disk is full", "apply-and-test", "--mbox", user.thread(posting()), TOP)

    on_full_disk(user, "data", work, "8k")


def test_no_qemu_is_said_before_anything_is_built(user: User, tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("git", "sh", "dpkg", "env"):
        (path / tool).symlink_to(shutil.which(tool) or f"/usr/bin/{tool}")
    said = user.refuses(
        4, "qemu-system-x86_64", "apply-and-test", "--mbox", user.thread(posting()), TOP, PATH=str(path)
    )
    assert "qemu-system-x86" in said.split("—")[-1], "the hint names the package"
    assert not (user.folder / "cache" / "artifacts").exists()
