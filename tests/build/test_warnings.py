# SPDX-License-Identifier: GPL-2.0-or-later
"""Which warnings a log holds, of which object, and which of them are new."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.build import warnings
from reviewbot.build.errors import first_error
from reviewbot.build.warnings import KERNEL_DOC, chokes, new_warnings, parse, without_checker
from reviewbot.model.review import BuildWarning

KBUILD = """\
  DESCEND objtool
  CC      /obj/tools/objtool/check.o
/src/tools/objtool/check.c:1:1: warning: of a tool [-Wtool]
  CC      fs/fuse/acl.o
/src/fs/fuse/acl.c: In function 'foo':
/src/fs/fuse/acl.c:169:26: warning: unused variable 'unused' [-Wunused-variable]
  169 | static int foo(void){int unused; return 0;}
      |                          ^~~~~~
/src/fs/fuse/acl.c:169:26: note: declared here
  CHECK   /src/fs/fuse/acl.c
sparse: /src/fs/fuse/acl.c:170:25: warning: incorrect type in return expression (different base types)
sparse: /src/fs/fuse/acl.c:170:25:    expected restricted __be32
sparse: /src/fs/fuse/acl.c:170:25:    got int
sparse: /src/fs/fuse/acl.c:171:8: error: undefined identifier 'nix'
/src/fs/fuse/acl.c:175: warning: Excess function parameter 'x' description in 'baz'
make[5]: Target 'fs/fuse/' not remade because of errors.
/src/fs/fuse/acl.c:1:1: warning: after the end of the object
  AS      arch/x86/lib/memcpy_64.o
  CC [M]  fs/fuse/dev.o
  AR      fs/fuse/built-in.a
/src/fs/fuse/acl.c:2:2: warning: of the archiver
"""


def warning(line: int = 1, message: str = "unused [-Wunused]", file: str = "fs/a.c", tool: str = "gcc") -> BuildWarning:
    return BuildWarning.model_validate({"tool": tool, "file": file, "line": line, "message": message})


def test_a_kbuild_log_gives_the_warnings_of_each_object_by_tool() -> None:
    found = parse(KBUILD)
    assert set(found) == {"fs/fuse/acl.o", "arch/x86/lib/memcpy_64.o", "fs/fuse/dev.o"}
    assert [(w.tool, w.file, w.line, w.message) for w in found["fs/fuse/acl.o"]] == [
        ("gcc", "fs/fuse/acl.c", 169, "unused variable 'unused' [-Wunused-variable]"),
        (
            "sparse",
            "fs/fuse/acl.c",
            170,
            "incorrect type in return expression (different base types); expected restricted __be32; got int",
        ),
        ("sparse", "fs/fuse/acl.c", 171, "error: undefined identifier 'nix'"),
        ("kernel-doc", "fs/fuse/acl.c", 175, "Excess function parameter 'x' description in 'baz'"),
    ]
    assert found["fs/fuse/dev.o"] == ()


def test_kernel_doc_of_newer_kernels_is_read_as_well() -> None:
    log = (
        "  CC      fs/fuse/iomap.o\n"
        "Warning: /src/fs/fuse/iomap.c:31 function parameter 'fm' not described in 'fuse_iomap_begin'\n"
        "Warning: fs/fuse/iomap.c:44 expecting prototype for fuse_end(). Prototype was for fuse_iomap_end() instead\n"
        "WARNING: modpost: missing MODULE_LICENSE() in fs/fuse/fuse.o\n"
        "Warning: Kernel ABI header differs\n"
    )
    assert [(w.tool, w.file, w.line, w.message) for w in parse(log)["fs/fuse/iomap.o"]] == [
        ("kernel-doc", "fs/fuse/iomap.c", 31, "function parameter 'fm' not described in 'fuse_iomap_begin'"),
        (
            "kernel-doc",
            "fs/fuse/iomap.c",
            44,
            "expecting prototype for fuse_end(). Prototype was for fuse_iomap_end() instead",
        ),
    ]


def test_the_recipe_looks_for_kernel_doc_where_the_host_does() -> None:
    script = (Path(warnings.__file__).parent / "recipes" / "kernel-review.sh").read_text()
    listed = ", ".join(f'"{name}"' for name in KERNEL_DOC)
    assert f"names = ({listed})" in script


def test_an_error_of_sparse_is_no_error_of_the_build() -> None:
    assert first_error(KBUILD.replace("sparse: ", "")) is not None
    assert first_error(without_checker(KBUILD)) is None


def test_ninja_and_e2fsprogs_name_their_objects_each_in_its_way() -> None:
    ninja = (
        "[3/45] Compiling C object lib/libfuse3.so.3.17.2.p/fuse_log.c.o\n"
        "../src/lib/fuse_log.c:98:5: warning: no previous declaration [-Wmissing-declarations]\n"
        "[4/45] Linking target lib/libfuse3.so.3.17.2\n"
        "../src/lib/fuse.c:1:1: warning: said by the linker\n"
    )
    found = parse(ninja)
    assert list(found) == ["lib/libfuse3.so.p/fuse_log.c.o"]  # whatever the library's version is
    assert [w.file for said in found.values() for w in said] == ["lib/fuse_log.c"]
    e2fsprogs = (
        "\tCC /src/lib/ext2fs/alloc.c\n/src/lib/ext2fs/alloc.c:5:1: warning: x [-Wx]\n"
        "\tCC default_profile.c\n\tGEN_LIB libext2fs.a\nx.c:1:1: warning: of a library\n"
    )
    assert {name: len(said) for name, said in parse(e2fsprogs).items()} == {
        "lib/ext2fs/alloc.o": 1,
        "default_profile.o": 0,
    }


def test_a_warning_that_only_moved_is_not_new() -> None:
    before = {"a.o": (warning(10), warning(20, "previous definition at fs/a.h:31:7"))}
    after = {"a.o": (warning(15), warning(99, "previous definition at fs/a.h:35:7"))}
    assert new_warnings(before, after) == ()


def test_one_more_of_the_same_warning_is_new() -> None:
    before = {"a.o": (warning(10),)}
    assert new_warnings(before, {"a.o": (warning(10), warning(30))}) == (warning(30),)
    assert new_warnings({"a.o": (warning(10), warning(30))}, before) == ()


@pytest.mark.parametrize(
    "other", [warning(message="set but not used [-Wunused]"), warning(file="fs/b.c"), warning(tool="sparse")]
)
def test_another_text_file_or_tool_is_another_warning(other: BuildWarning) -> None:
    assert new_warnings({"a.o": (warning(),)}, {"a.o": (warning(), other)}) == (other,)
    assert new_warnings({"a.o": (warning(),)}, {"a.o": (other,)}) == (other,)


def test_the_frame_size_that_grew_is_the_same_warning() -> None:
    said = "the frame size of {} bytes is larger than 1024 bytes [-Wframe-larger-than=]"
    assert new_warnings({"a.o": (warning(1, said.format(1040)),)}, {"a.o": (warning(1, said.format(1088)),)}) == ()


def test_a_warning_in_a_header_is_told_once_and_only_if_no_object_had_it() -> None:
    header = warning(file="fs/fuse_i.h")
    assert new_warnings({}, {"a.o": (header,), "b.o": (header,)}) == (header,)
    assert new_warnings({"a.o": (header,)}, {"a.o": (header,)}) == ()


def test_a_tool_that_cannot_be_trusted_is_left_out() -> None:
    after = {"a.o": (warning(), warning(tool="sparse"))}
    assert new_warnings({}, after, tools=("gcc", "kernel-doc")) == (warning(),)


def test_sparse_that_gives_up_on_half_of_the_objects_cannot_read_the_tree() -> None:
    bad = (warning(tool="sparse", message="error: Expected ; at end of declaration"),)
    assert chokes([bad, (warning(),)])
    assert not chokes([bad, (warning(),), ()])
    assert not chokes([])


@given(st.text(st.sampled_from("  CC  fs/a.o\n\tx.c:12: warning: err [3/4]make*"), max_size=300), st.integers(0, 5))
def test_no_log_breaks_the_parser_and_a_state_compared_with_itself_has_nothing_new(text: str, number: int) -> None:
    found = parse(f"  CC      fs/x.o\n{text}\n" * number + text)
    assert new_warnings(found, found) == ()


def test_a_flood_of_warnings_is_bounded() -> None:
    flood = "".join(f"/src/fs/a.c:{n}:1: warning: number {'x' * n} {'y' * 9000}\n" for n in range(1, 900))
    found = parse("  CC      fs/a.o\n" + flood)
    assert len(found["fs/a.o"]) == 500
    assert max(len(w.message) for w in found["fs/a.o"]) <= 300
    assert len(new_warnings({}, found)) == 100
