# SPDX-License-Identifier: GPL-2.0-or-later
"""`reproduce` and `shell` at the command line, as far as no machine is needed."""

import json
import os
from pathlib import Path

import pytest

from tests.mails import TOP, posting
from tests.repos import git
from tests.user import User


def path_without_a_buildroot(folder: Path) -> str:
    """A PATH on which mmdebstrap fails and QEMU only tells its version."""
    programs = {"mmdebstrap": "exit 1", "qemu-system-x86_64": "echo QEMU emulator version 7.2.22"}
    for name, words in programs.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{words}\n")
        program.chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def bases(run: Path) -> dict[str, str]:
    return {t["component"]: t["base_commit"] for t in json.loads((run / "trees.json").read_bytes())["trees"]}


def test_a_whole_run_again_is_of_the_stored_mails_on_the_same_bases(user: User) -> None:
    path = path_without_a_buildroot(user.folder)
    done = user.call(
        "apply-and-test", "--mbox", user.thread(posting()), TOP, "--legs", "ext4", "--suites", "smoke", PATH=path
    )
    assert done.returncode == 4, done.stderr
    (first,) = user.runs
    (user.folder / "thread.mbox").unlink()
    (user.folder / "kernel" / "new").write_text("the base moves on\n")
    git(user.folder / "kernel", "add", "new")
    git(user.folder / "kernel", "commit", "-qm", "moved on")
    done = user.call("reproduce", first.name[:-1], "--json", PATH=path)
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert (told["of"], told["differs"], told["verdict"]["kind"]) == (first.name, [], "INFRA")
    (second,) = set(user.runs) - {first}
    assert bases(second) == bases(first)
    plans = [json.loads((run / "plan.json").read_bytes()) for run in (first, second)]
    assert plans[0]["posting"]["parts"] == plans[1]["posting"]["parts"]
    assert plans[0]["legs"] == plans[1]["legs"] and plans[0]["suites"] == plans[1]["suites"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce", "latest", "generic/001"], "has nothing that boots"),
        (["shell", "latest", "--leg", "ext4"], "has nothing that boots"),
        (["reproduce", "latest", "--times", "2"], "are for one test"),
        (["reproduce", "no-such-run", "generic/001"], "no such run"),
        (["shell", "no-such-run"], "no such run"),
        (["reproduce", "latest", "generic/001", "--times", "0"], "--times"),
    ],
)
def test_what_cannot_be_done_is_one_line(user: User, arguments: list[str], words: str) -> None:
    folder = user.folder / "data" / "runs" / "20260101-000000-aaaa"
    folder.mkdir(parents=True)
    said = user.refuses(2, words, *arguments)
    assert "—" in said, "it says what to do"
