# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's fuse.h and libfuse's copy of it, kept in step or not."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from reviewbot.config import load_yaml
from reviewbot.model.errors import ConfigError
from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.model.review import ReviewFinding
from reviewbot.model.trees import Trees
from reviewbot.review.copies import Rules, check_copies, compare, load_rules, partners
from reviewbot.review.headers import definitions
from tests.review.trees import make_tree

KERNEL, LIBFUSE = "include/uapi/linux/fuse.h", "include/fuse_kernel.h"
BASE = """\
#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif
#define FUSE_KERNEL_MINOR_VERSION 41
#define FUSE_ASYNC (1 << 0)
enum fuse_opcode {
	FUSE_LOOKUP	= 1,
};
struct fuse_attr {
	uint64_t	ino;
	uint32_t	mode;
};
"""


def review(
    folder: Path, kernel: str = "", libfuse: str = "", base: Mapping[str, str] | None = None
) -> list[ReviewFinding]:
    """Kernel and libfuse patched from `base` to these texts; an empty one is not patched."""
    before = {"kernel": BASE, "libfuse": BASE, **(base or {})}
    texts = {"kernel": (KERNEL, kernel), "libfuse": (LIBFUSE, libfuse)}
    trees = tuple(
        make_tree(folder / name, name, {path: before[name]}, [("do", {path: text})] if text else [])
        for name, (path, text) in texts.items()
    )
    posted = [name for name, (_, text) in texts.items() if text]
    skipped: list[str] = []
    found = check_copies(Trees(trees=trees), posted, load_rules(), skipped.append)
    assert not skipped
    return found


def lines(found: list[ReviewFinding]) -> list[str]:
    return [f"{f.severity} {f.file}:{f.line}: {f.message}" for f in found]


def test_both_sides_changed_alike_is_nothing_whatever_the_layout(tmp_path: Path) -> None:
    new = BASE.replace("struct", "#define FUSE_NEW (1 << 9)\nstruct")
    other = BASE.replace("struct", "/* new */\n#define  FUSE_NEW\t512  /* a flag */\n\nstruct").replace(
        "uint32_t", "__u32"
    )
    assert review(tmp_path, new, other) == []


def test_another_value_is_an_error_that_names_both_lines(tmp_path: Path) -> None:
    new = BASE.replace("enum", "#define FUSE_NEW (1 << 9)\nenum")
    (found,) = review(tmp_path, new, "\n" + new.replace("<< 9", "<< 8"))
    assert lines([found]) == [
        f"error {KERNEL}:8: FUSE_NEW has different values in kernel {KERNEL}:8 and libfuse {LIBFUSE}:9: "
        "(1 << 9) and (1 << 8)"
    ]
    assert found.detail == f"{KERNEL}:8: #define FUSE_NEW (1 << 9)\n{LIBFUSE}:9: #define FUSE_NEW (1 << 8)"


def test_a_struct_that_grew_on_one_side_only(tmp_path: Path) -> None:
    new = BASE.replace("mode;\n", "mode;\n\tuint32_t\tflags;\n")
    (found,) = review(tmp_path, new, BASE + "\n")
    assert lines([found])[0].startswith(
        f"error {KERNEL}:14: struct fuse_attr has different members in kernel {KERNEL}:14"
    )
    assert found.detail == f"{KERNEL}:14: uint32_t flags;\n{LIBFUSE}:11: struct fuse_attr ends"


@pytest.mark.parametrize(("both", "severity"), [(True, "warning"), (False, "note")])
def test_a_new_definition_wants_its_partner_if_the_partner_is_in_the_posting(
    tmp_path: Path, both: bool, severity: str
) -> None:
    new = BASE.replace("= 1,", "= 1,\n\tFUSE_NEW\t= 2,")
    (found,) = review(tmp_path, new, BASE + "\n" if both else "")
    assert lines([found]) == [f"{severity} {KERNEL}:10: FUSE_NEW is in kernel {KERNEL}:10 but not in libfuse {LIBFUSE}"]


def test_what_only_the_copy_has_is_a_warning_at_the_copy(tmp_path: Path) -> None:
    (found,) = review(tmp_path, "", BASE.replace("enum", "#define FUSE_NEW 1\nenum"))
    assert (found.severity, found.file, found.line) == ("warning", LIBFUSE, 8)


def test_the_version_may_run_ahead_on_one_side(tmp_path: Path) -> None:
    assert lines(review(tmp_path / "a", BASE.replace("41", "42")))[0].startswith("note")
    assert lines(review(tmp_path / "b", BASE.replace("41", "42"), BASE + "\n"))[0].startswith("warning")


def test_what_differed_before_is_one_note_and_no_news(tmp_path: Path) -> None:
    old = BASE.replace("41", "40").replace("1 << 0", "1 << 5")
    found = review(tmp_path, "/* moved */\n\n" + BASE, base={"libfuse": old})
    assert lines(found) == [
        f"note {KERNEL}:8: 2 definitions differ between kernel {KERNEL} and libfuse {LIBFUSE} without this posting"
    ]
    assert f"{LIBFUSE}:7: #define FUSE_ASYNC (1 << 5)" in found[0].detail


def test_a_posting_that_touches_neither_side_is_not_asked(tmp_path: Path) -> None:
    assert review(tmp_path, base={"libfuse": "#define X 1\n"}) == []


def test_without_the_other_tree_the_reason_is_said(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "kernel", "kernel", {KERNEL: BASE}, [("do", {KERNEL: BASE + "\n"})])
    skipped: list[str] = []
    assert check_copies(Trees(trees=(tree,)), ["kernel"], load_rules(), skipped.append) == []
    assert skipped == [f"kernel {KERNEL} and libfuse {LIBFUSE} are not compared, for the source of libfuse is not here"]


def test_a_macro_and_an_enumerator_of_the_same_value_agree() -> None:
    assert compare(definitions("#define A 2"), definitions("enum { A = 1 + 1 };")) == ()


def test_a_wrong_data_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "copies.yaml").write_text(
        "copies: []\nnumbers:\n  - component: kernel\n    paths: []\n    why: because it is so\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_yaml(tmp_path / "copies.yaml", Rules)
    assert caught.value.line == 4


def posting_that_touches(component: str, path: str, *, rfc: bool = False) -> Posting:
    patch = Patch(message_id="p@x", subject="[PATCH] x", author="A <a@x>", number=1, paths=(path,))
    part = Part(component=component, counter="1/1", rfc=rfc, subject="x", cover=None, patches=(patch,))
    return Posting(top="p@x", subject="[PATCH] x", author="A <a@x>", source="test", parts=(part,))


@pytest.mark.parametrize(
    ("component", "path", "wanted"),
    [
        ("kernel", KERNEL, {"kernel", "libfuse", "e2fsprogs"}),
        ("libfuse", LIBFUSE, {"kernel", "libfuse", "e2fsprogs"}),
        ("e2fsprogs", "lib/ext2fs/ext2_fs.h", {"kernel", "libfuse", "e2fsprogs"}),
        ("e2fsprogs", "misc/fuse2fs.c", set()),
        ("kernel", "fs/fuse/dev.c", set()),
    ],
)
def test_what_must_stay_in_step_calls_for_the_trees_of_its_copies(component: str, path: str, wanted: set[str]) -> None:
    assert partners(posting_that_touches(component, path), rfc=False) == wanted


def test_a_part_that_is_left_out_calls_for_nothing() -> None:
    assert partners(posting_that_touches("kernel", KERNEL, rfc=True), rfc=False) == set()
