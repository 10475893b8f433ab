# SPDX-License-Identifier: GPL-2.0-or-later
"""Ioctl numbers and struct sizes in three repositories."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from reviewbot.host.sandbox import Sandbox
from reviewbot.model.review import ReviewFinding
from reviewbot.model.trees import Trees
from reviewbot.review import probe
from reviewbot.review.copies import load_rules
from reviewbot.review.headers import definitions
from reviewbot.review.numbers import Files, Item, check_numbers
from tests.review.trees import HOST, make_tree

FS, TUNE = "include/uapi/linux/fs.h", "misc/tune2fs.c"
KERNEL = (
    "#define LABEL_MAX 256\nstruct label { char text[LABEL_MAX]; };\n#define FS_IOC_SET _IOW(0x94, 50, struct label)\n"
)
E2FS = (
    "#ifndef FS_IOC_SET\n#define MAX 256\nstruct label { char text[MAX]; };\n"
    "#define FS_IOC_SET _IOW(0x94, 50, char[MAX])\n#endif\n"
)


def review(
    folder: Path,
    kernel: str = KERNEL,
    e2fsprogs: str = E2FS,
    *,
    sandbox: Sandbox | None = None,
    old: str = E2FS,
    old_kernel: str = KERNEL,
) -> tuple[list[ReviewFinding], list[str]]:
    trees = (
        make_tree(folder / "kernel", "kernel", {FS: old_kernel}, [("do", {FS: kernel, "x": "x"})]),
        make_tree(folder / "e2fsprogs", "e2fsprogs", {TUNE: old}, [("do", {TUNE: e2fsprogs, "x": "x"})]),
    )
    skipped: list[str] = []

    def measure(wanted: Mapping[Item, Files]) -> Mapping[Item, int]:
        return probe.measure(wanted, sandbox, folder, folder / "log")

    posted = ["kernel", "e2fsprogs"]
    found = check_numbers(Trees(trees=trees), posted, load_rules(), measure, skipped.append)
    assert skipped[:1] == ["ioctl numbers are not compared with those of libfuse, whose source is not here"]
    return found, skipped[1:]


def test_the_same_numbers_written_differently_agree(tmp_path: Path) -> None:
    assert review(tmp_path) == ([], [])


def test_a_number_that_the_posting_changes_on_one_side_names_both_lines(tmp_path: Path) -> None:
    found, _ = review(tmp_path, e2fsprogs=E2FS.replace("50", "51"))
    assert [(f.severity, f.file, f.line, f.message) for f in found] == [
        ("error", FS, 3, f"FS_IOC_SET is 0x41009432 in kernel {FS}:3 but 0x41009433 in e2fsprogs {TUNE}:4")
    ]
    assert found[0].detail.splitlines()[1] == f"{TUNE}:4: #define FS_IOC_SET _IOW(0x94, 51, char[MAX])"


def test_a_size_that_differs_shows_in_struct_and_number(tmp_path: Path) -> None:
    found, _ = review(tmp_path, KERNEL.replace("256", "255"))
    assert [f.message for f in found] == [
        f"FS_IOC_SET is 0x40ff9432 in kernel {FS}:3 but 0x41009432 in e2fsprogs {TUNE}:4",
        f"struct label is 255 bytes in kernel {FS}:2 but 256 bytes in e2fsprogs {TUNE}:3",
    ]


def test_what_differed_before_is_a_note(tmp_path: Path) -> None:
    other = E2FS.replace("50", "51")
    found, _ = review(tmp_path, e2fsprogs=other, old=other)
    assert [f.severity for f in found] == ["note"] and "was and is" in found[0].message


def test_two_ioctls_with_one_number(tmp_path: Path) -> None:
    new = "".join(
        f"#define F_IOC_{name}\n"
        for name in ("SUPPORT _IOR(229, 99, int)", "ADD _IO(229, 99)", "SET_BLOCKSIZE _IOW(229, 99, long)")
    )
    found, _ = review(tmp_path, KERNEL + new)
    assert [(f.severity, f.file, f.line, f.message) for f in found] == [
        (
            "warning",
            FS,
            6,
            "3 ioctls of kernel have number 99 of type 0xe5: F_IOC_SUPPORT, F_IOC_ADD, F_IOC_SET_BLOCKSIZE",
        )
    ]


def test_a_getter_and_a_setter_may_share_a_number_and_old_ones_are_no_news(tmp_path: Path) -> None:
    pair = "#define F_IOC_GETX _IOR(1, 2, int)\n#define F_IOC_SETX _IOW(1, 2, int)\n"
    assert review(tmp_path / "a", KERNEL + pair)[0] == []
    clash = "#define F_IOC_A _IO(1, 2)\n#define F_IOC_B _IO(1, 2)\n"
    assert review(tmp_path / "b", KERNEL + clash + "\n", old_kernel=KERNEL + clash)[0] == []


def test_what_cannot_be_evaluated_is_said(tmp_path: Path) -> None:
    found, skipped = review(tmp_path, KERNEL.replace("char text[LABEL_MAX]", "char text[SOMEWHERE_ELSE]"))
    assert found == [] and skipped == ["not evaluated: FS_IOC_SET, struct label"]


def test_the_compiler_has_the_last_word(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None or shutil.which("gcc") is None:
        pytest.skip("bwrap or gcc is not installed")
    text = """
    struct inner { unsigned long a:3, b:5; char c; } __attribute__((packed));
    struct outer { struct inner x[3]; int (*call)(void); };
    #define SIZE sizeof(struct outer)
    #define IOC_A _IOWR('x', 1, struct outer)
    #define IOC_B _IO('x', 0)
    #define IOC_ZERO (0 * SIZE)
    #define IOC_BAD _IOR('x', 1, struct missing)
    #define IOC_HOSTILE _IO('x', ({ system("touch /out/pwned"); 1; }))
    """
    files = Files("kernel", "c", {"a.h": definitions(text)})
    items = {("kernel", "c", "a.h", name): files for name in files.by_path["a.h"]}
    found = probe.measure(items, Sandbox(HOST), tmp_path, tmp_path / "log")
    assert {item[3]: value for item, value in found.items()} == {
        "struct inner": 2,
        "struct outer": 16,
        "SIZE": 16,
        "IOC_A": 0xC0107801,
        "IOC_B": 0x7800,
        "IOC_ZERO": 0,
    }


def test_definitions_that_need_each_other_make_a_small_probe() -> None:
    loop = "".join(f"#define A{n} A{(n + 1) % 500}\n" for n in range(500))
    files = Files("kernel", "c", {"a.h": definitions(loop)})
    assert len(probe.probe_source(("kernel", "c", "a.h", "A0"), files)) < 20_000
