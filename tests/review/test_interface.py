# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel and library at head: do they agree on what iomap sends, and what do the mails tell of it?"""

from pathlib import Path

import pytest

from reviewbot.model.trees import Trees
from reviewbot.review import disagreement
from reviewbot.review.copies import compare, load_rules
from reviewbot.review.headers import definitions
from tests.iomap.stack import POSTING
from tests.review.trees import make_tree

KERNEL, LIBRARY, COMMON = "include/uapi/linux/fuse.h", "include/fuse_kernel.h", "include/fuse_common.h"
PROTOCOL = """\
enum fuse_opcode {
	FUSE_IOMAP_BEGIN = 4094,
};
#define FUSE_IOMAP_TYPE_HOLE (0)
struct fuse_iomap_ioend_in {
	uint64_t	pos;
	uint64_t	written;
};
#define FUSE_OTHER 1
"""


def between(folder: Path, library: str, common: str = "", base: str = "") -> str:
    trees = (
        make_tree(folder / "kernel", "kernel", {KERNEL: base or PROTOCOL}, [("do", {KERNEL: PROTOCOL})]),
        make_tree(folder / "libfuse", "libfuse", {LIBRARY: library, COMMON: common}, []),
    )
    return disagreement(Trees(trees=trees), "iomap")


def test_the_same_protocol_is_no_disagreement_and_neither_is_a_difference_in_something_else(tmp_path: Path) -> None:
    assert between(tmp_path, PROTOCOL.replace("FUSE_OTHER 1", "FUSE_OTHER 2"), "#define FUSE_IOMAP_TYPE_HOLE 0\n") == ""


@pytest.mark.parametrize(
    ("library", "common", "name"),
    [
        (
            PROTOCOL.replace("uint64_t	written", "uint32_t	written"),
            "",
            "struct fuse_iomap_ioend_in: `uint64_t written;`",
        ),
        (PROTOCOL.replace("4094", "4093"), "", "FUSE_IOMAP_BEGIN"),
        (PROTOCOL, "#define FUSE_IOMAP_TYPE_HOLE (3)\n", "FUSE_IOMAP_TYPE_HOLE"),
    ],
)
def test_the_first_disagreement_is_named_with_both_files(tmp_path: Path, library: str, common: str, name: str) -> None:
    found = between(tmp_path, library, common)
    assert found.startswith(f"kernel and libfuse do not agree on {name}")
    assert KERNEL in found and (COMMON if common else LIBRARY) in found


def test_a_library_without_iomap_and_a_missing_tree_are_no_disagreement(tmp_path: Path) -> None:
    assert between(tmp_path, "#define FUSE_OTHER 1\n") == ""
    assert disagreement(Trees(trees=()), "iomap") == ""


def test_only_names_that_both_files_have_are_compared_where_the_rule_says_so() -> None:
    entry = next(entry for entry in load_rules().copies if entry.only)
    kernel, library = definitions(PROTOCOL), definitions("#define FUSE_IOMAP_TYPE_HOLE 1\n#define FUSE_LIBRARY 5\n")
    assert [difference.name for difference in compare(kernel, library, entry.only)] == ["FUSE_IOMAP_TYPE_HOLE"]


def test_the_stand_in_posting_says_the_same_in_kernel_and_library() -> None:
    added = {
        component: "\n".join(
            line[1:]
            for path in sorted((POSTING / component).glob("*.patch"))
            for line in header_of(path.read_text(), name).splitlines()
            if line.startswith("+")
        )
        for component, name in (("kernel", KERNEL), ("libfuse", LIBRARY))
    }
    kernel, library = definitions(added["kernel"]), definitions(added["libfuse"])
    assert len([name for name in kernel if "iomap" in name.lower()]) > 40
    assert not [d for d in compare(kernel, library) if "iomap" in d.name.lower()]


def header_of(patch: str, name: str) -> str:
    """The part of a patch that changes this file."""
    return "".join(part for part in patch.split("diff --git ") if part.startswith(f"a/{name} "))
