# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot review` at a terminal."""

import json
import os
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from reviewbot.cli.review import print_review
from reviewbot.model.review import Review, ReviewFinding, Severity
from reviewbot.model.verdict import ExitStatus
from reviewbot.report import schemas
from tests.mails import TOP, posting
from tests.report.records import built, review_clean, review_with_errors
from tests.user import User


def printed(review: Review, width: int = 120) -> list[str]:
    out = StringIO()
    print_review(review, Console(file=out, highlight=False, soft_wrap=True, width=width))
    return out.getvalue().splitlines()


def test_one_line_per_patch_then_the_remarks_by_patch_and_the_series() -> None:
    assert printed(review_with_errors()) == [
        "",
        "✗ libfuse patch 1/3    libfuse: step 1    built, 12 objects, 4 s  1 error, 1 warning",
        "✗ libfuse patch 2/3    libfuse: step 2    does not build, 4 s  1 note",
        "✓ libfuse patch 3/3    libfuse: step 3    built, 1 object, 4 s  1 warning",
        "– e2fsprogs patch 1/1  e2fsprogs: step 1  not built: libfuse does not build, 4 s",
        "",
        "libfuse patch 1/3: libfuse: step 1",
        "  error: no Signed-off-by: of the author Dana Example <dana@example.org> [message]",
        "  warning: lib/fuse.c:2872: line length of 112 exceeds 100 [checkpatch]",
        "",
        "libfuse patch 2/3: libfuse: step 2",
        "  error: does not build: lib/fuse.c:2871: ‘struct fuse’ has no member named ‘rename’",
        "      lib/fuse.c: In function ‘fuse_lib_rename’:",
        "      lib/fuse.c:2871:10: error: ‘struct fuse’ has no member named ‘rename’",
        '  note: Fixes: 3c3c3c3c3c3c ("libfuse: step 0") is not in this tree [message]',
        "",
        "libfuse patch 3/3: libfuse: step 3",
        "  warning: new: lib/fuse.c:2874: variable ‘err’ set but not used [-Wunused-but-set-variable] [gcc]",
        "",
        "The series as a whole",
        "  error: include/fuse_kernel.h:238: FUSE_KERNEL_MINOR_VERSION is 45, but 46 in the kernel's"
        " include/uapi/linux/fuse.h:240 [copies]",
        "      -#define FUSE_KERNEL_MINOR_VERSION 46",
        "      +#define FUSE_KERNEL_MINOR_VERSION 45",
    ]


def test_many_remarks_are_counted_and_long_command_lines_left_out() -> None:
    finding = ReviewFinding(tool="x", severity=Severity.WARNING, message="m")
    build = built("failed", error="no", detail="cc " + "-I. " * 100 + "\na.c:1: error: no\n" + "more\n" * 30)
    patch = review_clean().patches[0].model_copy(update={"findings": (finding,) * 40, "build": build})
    lines = printed(review_clean().model_copy(update={"patches": (patch,)}))
    assert "  … and 21 more" in lines
    assert len([line for line in lines if "m [x]" in line]) == 19
    assert "      a.c:1: error: no" in lines and not [line for line in lines if "-I." in line]
    assert len([line for line in lines if line == "      more"]) == 7


def test_a_review_of_nothing_is_short() -> None:
    assert printed(review_clean().model_copy(update={"patches": ()})) == [""]


def test_words_of_strangers_are_no_markup() -> None:
    finding = ReviewFinding(tool="x", severity=Severity.ERROR, message="[red]x[/red] [/]")
    patch = review_clean().patches[0].model_copy(update={"findings": (finding,), "subject": "[bold]s[/bold]"})
    lines = printed(review_clean().model_copy(update={"patches": (patch,)}))
    assert "  error: [red]x[/red] [/] [x]" in lines


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH whose mmdebstrap reaches no mirror: no build root can be made."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "mmdebstrap").write_text("#!/bin/sh\necho 'E: no mirror answers' >&2\nexit 100\n")
    (folder / "mmdebstrap").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_the_command_line_without_builds(user: User, tools: str) -> None:
    thread = user.thread(posting())
    done = user.call("review", "--no-build", "--mbox", thread, PATH=tools)
    assert done.returncode == ExitStatus.PASS, done.stderr + done.stdout
    assert "– kernel patch 1/2" in done.stdout
    assert "\nREVIEWED  no patch was built; the review found no errors" in done.stdout
    assert "nothing was booted or tested" in done.stdout
    assert "note: without checkpatch: it runs in the build root, which is missing" in done.stdout
    report = user.call("report", "--format", "review")
    jsonschema.validate(json.loads(report.stdout), schemas()["review"])


def test_the_command_line_as_json(user: User, tools: str) -> None:
    unsigned = [m.replace(b"Signed-off-by: A Developer <dev@example.org>\n", b"") for m in posting()]
    done = user.call("review", "--no-build", "--json", "--mbox", user.thread(unsigned), TOP, PATH=tools)
    assert done.returncode == ExitStatus.SERIES, done.stderr
    said = json.loads(done.stdout)
    jsonschema.validate(said, schemas()["review"])
    assert any(f["tool"] == "message" and f["severity"] == "error" for p in said["patches"] for f in p["findings"])
    verdict = json.loads(user.call("report", "--json").stdout)
    assert verdict["kind"] == "REVIEW-ERRORS" and "Signed-off-by" in json.dumps(verdict["findings"])


def test_a_patch_that_does_not_apply_is_told_as_everywhere(user: User, tools: str) -> None:
    broken = [m.replace(b"\n old\n", b"\n ancient\n") for m in posting()]
    done = user.call("review", "--no-build", "--mbox", user.thread(broken), PATH=tools)
    assert done.returncode == ExitStatus.SERIES
    assert "DOES-NOT-APPLY" in done.stdout and "error: patch failed" in done.stdout


def test_no_series_is_the_users_mistake(user: User) -> None:
    user.refuses(2, "which series?", "review")
    assert user.runs == []
