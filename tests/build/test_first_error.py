# SPDX-License-Identifier: GPL-2.0-or-later
"""The first error of a build log, with its place: logs of compilers, linkers, make, kbuild, meson and autoconf."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.build.errors import BuildFails, all_errors, first_error
from reviewbot.model.verdict import ExitStatus, VerdictKind

LOGS = Path(__file__).with_name("logs")
FOUND = {
    "gcc": ("fs/fuse/iomap_i.h:31",
            "implicit declaration of function ‘fuse_bpf_attach’ [-Werror=implicit-function-declaration]"),
    "header": ("misc/fuse2fs.c:40", "fuse_loopdev.h: No such file or directory"),
    "coloured": ("lib/fuse_lowlevel.c:2741", "‘FUSE_CAP_IOMAP’ undeclared (first use in this function)"),
    "linker": ("fuse4fs/fuse4fs.c:1187", "undefined reference to `fuse_lowlevel_notify_iomap_upsert'"),
    "linker-vmlinux": ("fs/fuse/file.c", "undefined reference to `fuse_iomap_open'"),
    "linker-twice": ("fuse_opt.o", "multiple definition of `fuse_state'; fuse.o:(.bss+0x0): first defined here"),
    "linker-debug-info": ("fs/fuse/iomap.c:77", "undefined reference to `fuse_iomap_flush'"),
    "linker-meson": ("lib/helper.c", "undefined reference to `fuse_iomap_main'"),
    "linker-killed": ("", "ld terminated with signal 9 [Killed]"),
    "lld": ("fs/fuse/file.c:250", "undefined symbol: fuse_iomap_open"),
    "lld-no-debug-info": ("fs/fuse/iomap.c", "undefined symbol: fuse_iomap_flush"),
    "version-script": ("lib/fuse_versionscript:190", "syntax error in VERSION script"),
    "assembler": ("fs/fuse/dir.c:88", "no such instruction: `fusemov %rax'"),
    "assembler-pipe": ("fs/fuse/inode.c", "junk at end of line, first unrecognized character is `@'"),
    "assembler-symver": ("lib/compat.c", "multiple versions [`fuse_new@FUSE_3.0'|`fuse_new@FUSE_3.1'] for symbol "
                                         "`fuse_new_30'"),
    "assembler-no-space": ("", "can't write 37 bytes to section .text of fs/fuse/dev.o: 'No space left on device'"),
    "compiler-option": ("", "unknown argument: '-fno-such-option'"),
    "compiler-crash": ("fs/fuse/file.c:1702", "internal compiler error: Segmentation fault"),
    "killed": ("", "Killed signal terminated program cc1"),
    "make-killed": ("", "[/src/scripts/Makefile.build:229: fs/fuse/dev.o] Killed"),
    "says-no-space": ("fs/fuse/dev.c:2", "#error No space left on device"),
    "ninja": ("", "'../src/example/iomap_ll.c', needed by 'example/iomap_ll.p/iomap_ll.c.o', missing and no known rule "
                  "to make it"),
    "config-status": ("", "cannot find input file: `misc/fuseext/Makefile.in'"),
    "configure-in-folder": ("", "C compiler cannot create executables"),
    "kconfig-option": ("fs/fuse/Kconfig:31", 'unexpected option "dependson"'),
    "kbuild-box": ("", "Assembler is too old."),
    "uapi-leak": ("include/uapi/linux/fuse_iomap.h", "leak CONFIG_FUSE_PASSTHROUGH to user-space"),
    "modpost-fatal": ("", "fs/fuse/fuse: sizeof(struct virtio_device_id)=8 is not a modulo of the size of section "
                          "__mod_virtio"),
    "warning-of-ld": ("scripts/mkcompile_h:20", "mkhash: command not found"),
    "meson": ("lib/meson.build:31", 'Dependency "liburing" not found, tried pkgconfig and cmake'),
    "configure": ("", "fuse4fs requires libfuse 3.19 or newer."),
    "configure-syntax": ("configure:13406", "syntax error near unexpected token `fuse3,'"),
    "autoconf": ("configure.ac:1472", "possibly undefined macro: AC_CHECK_FUSE"),
    "makefile": ("fs/fuse/Makefile:14", "*** missing separator.  Stop."),
    "make-rule": ("", "No rule to make target 'fs/fuse/passthru.o', needed by 'fs/fuse/built-in.a'.  Stop."),
    "kconfig": ("fs/fuse/Kconfig:84", "syntax error"),
    "kconfig-loop": ("fs/fuse/Kconfig:76", "error: recursive dependency detected!"),
    "kconfig-file": ("fs/Kconfig:331", "can't open file \"fs/fuse/Kconfig.iomap\""),
    "modpost": ("fs/fuse/fuse.ko", '"iomap_fuse_begin" [fs/fuse/fuse.ko] undefined!'),
    "modpost-license": ("", "missing MODULE_LICENSE() in fs/fuse/fuse_iomap.o"),
    "objtool": ("fs/fuse/file_iomap.o",
                "objtool: fuse_iomap_begin() falls through to next function fuse_iomap_end()"),
    "nothing": None,
}  # fmt: skip
"""Name of a log -> place and words of its first error."""


@pytest.mark.parametrize("name", FOUND)
def test_the_first_error_of_a_log_is_found_with_its_place(name: str) -> None:
    found = first_error((LOGS / f"{name}.txt").read_text())
    assert (found and (found.place, found.what)) == FOUND[name]


ACCIDENTS = {"killed", "make-killed", "linker-killed", "compiler-crash", "assembler-no-space"}


@pytest.mark.parametrize("name", FOUND)
def test_what_the_machine_may_have_done_is_marked_and_what_a_compiler_says_of_the_source_is_not(name: str) -> None:
    found = first_error((LOGS / f"{name}.txt").read_text())
    assert (found is not None and found.accident) == (name in ACCIDENTS)


MAKE = "make[2]: *** [/src/fs/fuse/Makefile:9: fs/fuse/made.h] Error 1\n"
HOST = {
    "sh: 1: Cannot fork\n": ("", "Cannot fork"),
    "make[1]: fork: Resource temporarily unavailable\n": ("", "make[1]: fork: Resource temporarily unavailable"),
    "gzip: boot/image.gz: No space left on device\n": ("", "gzip: boot/image.gz: No space left on device"),
    "cp: error writing 'bin/tool': Input/output error\n": ("", "cp: error writing 'bin/tool': Input/output error"),
    "virtual memory exhausted: Cannot allocate memory\n": ("", "virtual memory exhausted: Cannot allocate memory"),
    "cc: internal compiler error: Killed (program cc1)\n": ("", "internal compiler error: Killed (program cc1)"),
    "/bin/bash: line 1:   512 Killed ld -r -o a.o b.o\n": ("", "Killed ld -r -o a.o b.o"),
    "Killed\nFailed to generate BTF for vmlinux\n": ("", "Killed"),
    "fs/fuse/dev.c:9:1: fatal error: error writing to /tmp/ccA.s: No space left on device\n": (
        "fs/fuse/dev.c:9", "error writing to /tmp/ccA.s: No space left on device"),
}  # fmt: skip
OF_THE_TREE = {
    "/bin/sh: 1: /src/scripts/mkhash.sh: Permission denied\n": ("scripts/mkhash.sh", "Permission denied"),
    "make[3]: ./mkhash: No such file or directory\n": ("mkhash", "No such file or directory"),
    "/bin/sh: 1: mkhash: not found\n": ("", "mkhash: not found"),
    "libtool:   error: cannot find the library 'libiomap.la'\n": ("", "cannot find the library 'libiomap.la'"),
    "ld: a.o:/src/misc/a.c:8: multiple definition of `x'; b.o:/src/misc/b.c:8: first defined here\n": (
        "misc/a.c:8", "multiple definition of `x'; b.o:/src/misc/b.c:8: first defined here"),
    "error[E0425]: cannot find value `inode` in this scope\n  --> rust/kernel/fs.rs:12:9\n   |\n": (
        "rust/kernel/fs.rs:12", "cannot find value `inode` in this scope"),
    'Traceback (most recent call last):\n  File "/src/scripts/made.py", line 12, in <module>\n    main()\n'
    "KeyError: 'fuse'\n": ("scripts/made.py:12", "KeyError: 'fuse'"),
    "./usr/include/linux/fuse.h:70:2: error: unknown type name 'u64'\n": (
        "usr/include/linux/fuse.h:70", "unknown type name 'u64'"),
}  # fmt: skip


@pytest.mark.parametrize("said", [*HOST, *OF_THE_TREE])
def test_what_a_tool_said_before_make_is_the_first_error_and_the_machine_is_told_from_the_tree(said: str) -> None:
    found = first_error(said + MAKE)
    assert found and (found.place, found.what) == {**HOST, **OF_THE_TREE}[said]
    assert found.accident == (said in HOST)


def test_each_log_has_an_expectation() -> None:
    assert {path.stem for path in LOGS.iterdir()} == set(FOUND)


def test_the_context_shows_the_line_and_what_follows() -> None:
    found = first_error((LOGS / "gcc.txt").read_text())
    assert found is not None
    lines = found.context.splitlines()
    assert found.what in lines[2]
    assert "return fuse_bpf_attach(fc);" in lines[3]
    assert len(lines) <= 10


def test_a_compilers_error_counts_before_makes_own_words_however_the_jobs_were_mixed() -> None:
    log = "make[5]: *** [Makefile:1: a.o] Error 1\nconfigure: error: no\nfs/a.c:3: error: late\n"
    found = first_error(log)
    assert found is not None
    assert (found.place, found.what) == ("fs/a.c:3", "late")


@pytest.mark.parametrize("log", ["", "\n\n", "make: Nothing to be done for 'all'."])
def test_a_log_without_an_error_has_none(log: str) -> None:
    assert first_error(log) is None


@given(st.lists(st.sampled_from(["a.c:1:2: error: x", "ld: y", "make: *** z", "\x1b[K", ":", "/src/", ""]) | st.text()))
def test_no_log_breaks_the_search(lines: list[str]) -> None:
    found = first_error("\n".join(lines))
    assert found is None or (found.what == found.what.strip() and "\n" not in found.what)


def test_a_build_that_fails_is_the_series_fault_and_names_place_words_and_log(tmp_path: Path) -> None:
    found = first_error((LOGS / "header.txt").read_text())
    assert found is not None
    error = BuildFails("e2fsprogs", found, tmp_path / "e2fsprogs.log")
    assert str(error) == ("e2fsprogs does not build: misc/fuse2fs.c:40: fuse_loopdev.h: No such file or directory")
    assert str(tmp_path / "e2fsprogs.log") in error.hint
    assert (error.verdict, error.exit_status) == (VerdictKind.BUILD_FAILS, ExitStatus.SERIES)
    assert "compilation terminated." in error.details


def test_a_build_that_goes_on_tells_all_errors_of_compilers_and_nothing_of_make() -> None:
    log = (
        "fs/a.c:1:2: error: first\nmake[3]: *** [fs/a.o] Error 1\nfs/b.c:3:4: error: second\n"
        "make[3]: *** [fs/b.o] Error 1\n"
    )
    assert [(error.place, error.what) for error in all_errors(log)] == [("fs/a.c:1", "first"), ("fs/b.c:3", "second")]
    assert [error.what for error in all_errors("make: *** [x] Error 1\n")] == ["[x] Error 1"]
    assert all_errors("fine\n") == ()
    assert len(all_errors("fs/a.c:1:2: error: x\n" * 99)) == 50


@pytest.mark.parametrize("piece", ["a,", "_", "/", "-", "(", "<"])
def test_a_line_without_end_takes_no_time(piece: str) -> None:
    found = first_error(piece * 500_000 + "\nfs/fuse/file.c:1:2: error: y\n")
    assert found and found.place == "fs/fuse/file.c:1"
