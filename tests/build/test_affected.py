# SPDX-License-Identifier: GPL-2.0-or-later
"""What a patch can change of a build."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from reviewbot.build.affected import (
    MOST_FAR,
    MOST_NEAR,
    SMALL,
    Affected,
    Change,
    affected,
    affects_anything,
    changes,
    folders_of,
    learn,
    load_unaffecting,
    parse_cmd,
    profiled,
)
from tests.build.commits import Series

CMD = """\
savedcmd_{name} := gcc -Wp,-MMD,{folder}/.x.o.d -include /src/include/linux/kconfig.h -c -o {name} /src/{source}

source_{name} := /src/{source}

deps_{name} := \\
    $(wildcard include/config/FUSE_DAX) \\
{deps}
{name}: $(deps_{name})

$(deps_{name}):
"""
COMPOSITE = "savedcmd_fs/fuse/fuse.o := ld -m elf_x86_64 -r -o fs/fuse/fuse.o @fs/fuse/fuse.mod\n"
FUSE = ("acl", "dev", "dir", "file")
IGNORED = load_unaffecting().patterns("kernel")


def built(folder: Path, sources: dict[str, Sequence[str]]) -> Path:
    """An object folder as kbuild leaves it: source -> what it includes."""
    for source, headers in sources.items():
        path = Path(source)
        name = path.with_suffix(".o").as_posix()
        deps = "".join(f"  /src/{header} \\\n" for header in headers)
        record = folder / path.parent / f".{path.stem}.o.cmd"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(CMD.format(name=name, folder=path.parent, source=source, deps=deps))
    return folder


def records(folder: Path) -> list[tuple[str, bytes]]:
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in folder.rglob(".*.o.cmd")]


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    fuse = {f"fs/fuse/{name}.c": ("fs/fuse/fuse_i.h", "include/linux/fs.h") for name in FUSE}
    vfs: dict[str, Sequence[str]] = {f"fs/f{number:03}.c": ("include/linux/fs.h",) for number in range(SMALL)}
    folder = built(tmp_path / "obj", {**fuse, **vfs, "mm/slab.c": (), "arch/x86/boot/main.c": ()})
    (folder / "fs/fuse/.fuse.o.cmd").write_text(COMPOSITE)
    return folder


def plan(
    objects: Path, *paths: str, status: str = "M", posting: Sequence[str] = (), fresh: Collection[str] = ()
) -> Affected:
    changed = [Change(status, path) for path in paths]
    near = folders_of([*changed, *(Change("M", path) for path in posting)])
    return affected(changed, learn(records(objects), paths), near, IGNORED, fresh)


def test_a_cmd_file_tells_the_source_and_all_it_read(objects: Path) -> None:
    source, read = parse_cmd((objects / "fs/fuse/.dir.o.cmd").read_bytes())
    assert source == "fs/fuse/dir.c"
    assert {"fs/fuse/dir.c", "fs/fuse/fuse_i.h", "include/linux/fs.h", "include/linux/kconfig.h"} <= read
    assert parse_cmd(COMPOSITE.encode())[0] == ""


def test_objects_made_of_others_or_apart_from_the_kernel_are_not_counted(objects: Path) -> None:
    names = learn(records(objects), ()).names
    assert "fs/fuse/dir.o" in names
    assert not {"fs/fuse/fuse.o", "arch/x86/boot/main.o"} & names


def test_a_source_of_a_small_directory_is_built_with_its_directory(objects: Path) -> None:
    assert plan(objects, "fs/fuse/dir.c") == Affected(("fs/fuse/",))
    assert plan(objects, "fs/fuse/iomap.c", status="A").targets == ("fs/fuse/",)
    assert plan(objects, "fs/fuse/Makefile").targets == ("fs/fuse/",)


def test_a_kconfig_asks_for_a_new_configuration(objects: Path) -> None:
    assert plan(objects, "fs/fuse/Kconfig") == Affected(("fs/fuse/",), configure=True)


def test_a_source_of_a_large_directory_is_built_alone(objects: Path) -> None:
    assert plan(objects, "fs/f001.c") == Affected(("fs/f001.o",))


def test_a_header_builds_what_includes_it_where_the_posting_is_at_home(objects: Path) -> None:
    assert plan(objects, "fs/fuse/fuse_i.h", posting=["fs/fuse/dir.c"]).targets == ("fs/fuse/",)
    assert plan(objects, "fs/fuse/fuse_i.h").targets == tuple(f"fs/fuse/{name}.o" for name in FUSE)


def test_a_header_of_the_whole_kernel_is_bounded_and_says_so(objects: Path) -> None:
    found = plan(objects, "include/linux/fs.h", posting=["fs/fuse/dir.c"])
    assert "fs/fuse/" in found.targets
    assert len(found.targets) == 1 + MOST_FAR - len(FUSE)
    assert found.later and found.why == "44 objects depend on it: 20 were built, the others together with head"


def test_directories_of_the_posting_have_more_room_than_others(tmp_path: Path) -> None:
    many: dict[str, Sequence[str]] = {f"fs/xfs/x{number:03}.c": ("fs/xfs/xfs.h",) for number in range(MOST_NEAR + 9)}
    found = plan(built(tmp_path, many), "fs/xfs/xfs.h", posting=["fs/xfs/x001.c"])
    assert len(found.targets) == MOST_NEAR


@pytest.mark.parametrize(
    "path",
    ["Documentation/filesystems/fuse.rst", "tools/testing/selftests/x.c", "MAINTAINERS", "arch/arm64/mm/fault.c",
     "fs/xfs/xfs_inode.c", "fs/xfs/Makefile", "fs/fuse/unused.h", "fs/aio.c", "fs/fuse/README.rst"],
)  # fmt: skip
def test_what_this_configuration_does_not_read_builds_nothing(objects: Path, path: str) -> None:
    assert plan(objects, path) == Affected(why="nothing that it touches is built in this configuration")


def test_a_new_source_of_a_large_directory_is_left_to_the_head(objects: Path) -> None:
    found = plan(objects, "fs/new.c", "fs/Makefile", status="A")
    assert found.targets == () and found.later
    assert "fs/new.c" in found.why and "head" in found.why


def test_a_directory_that_the_posting_makes_is_asked_of_kbuild(objects: Path) -> None:
    assert plan(objects, "fs/newfs/super.c", status="A").targets == ()
    assert plan(objects, "fs/newfs/super.c", status="A", fresh={"fs/newfs"}).targets == ("fs/newfs/",)


@pytest.mark.parametrize("path", ["Makefile", "scripts/Makefile.build", "arch/x86/boot/main.c"])
def test_what_only_a_whole_build_shows_is_left_to_the_head(objects: Path, path: str) -> None:
    found = plan(objects, path)
    assert found.targets == () and found.later and path in found.why


def test_without_any_build_before_kbuild_is_asked(tmp_path: Path) -> None:
    assert plan(tmp_path, "fs/xfs/xfs_inode.c").targets == ("fs/xfs/",)


@pytest.mark.parametrize("path", ["fs/fuse/$(shell id)/x.c", "fs/a b/x.c", "fs/--eval=x/../x.c", "-f/x.c", "O=x/y.c"])
def test_no_path_becomes_anything_but_a_target_of_make(tmp_path: Path, path: str) -> None:
    assert plan(tmp_path, path).targets == ()


@pytest.mark.parametrize(
    ("component", "path"),
    [("libfuse", "doc/mainpage.dox"), ("libfuse", "ChangeLog.rst"), ("libfuse", "test/test_ops.py"),
     ("e2fsprogs", "debian/control"), ("e2fsprogs", "tests/f_dup/expect.1"), ("e2fsprogs", "misc/fuse2fs.1.in")],
)  # fmt: skip
def test_text_and_tests_of_user_space_build_nothing(component: str, path: str) -> None:
    patterns = load_unaffecting().patterns(component)
    assert affects_anything([Change("M", path)], patterns).targets == ()
    both = [Change("M", path), Change("M", "lib/x.c")]
    assert affects_anything(both, patterns).targets == ("all",)


def test_changes_of_a_commit_know_what_came_and_went(tmp_path: Path) -> None:
    source = Series.from_nothing(tmp_path, "kernel")
    source.patch("first", {"fs/a.c": lambda _: "a\n", "fs/b c.h": lambda _: "b\n"})
    source.patch("second", {"fs/a.c": lambda _: None, "fs/é.c": lambda _: "a\n"})
    first, second = (patch.commit for patch in source.patches)
    assert changes(source.repository, source.base, first) == (Change("A", "fs/a.c"), Change("A", "fs/b c.h"))
    assert changes(source.repository, first, second) == (Change("D", "fs/a.c"), Change("A", "fs/é.c"))


@pytest.mark.parametrize(
    ("paths", "folders"),
    [
        (("fs/fuse/dir.c", "fs/fuse/fuse_i.h", "fs/iomap/direct-io.c"), ("fs/fuse", "fs/iomap")),
        (("fs/ext4/ext4.h", "include/linux/fuse.h", "arch/x86/include/asm/page.h", "fs/fuse/Makefile"), ("fs/ext4",)),
        (("arch/x86/boot/main.c", "arch/arm64/mm/fault.c", "scripts/mod/modpost.c", "usr/gen_init_cpio.c"), ()),
        (("fs/$(shell id)/x.c", "fs/%/x.c", "x.c"), ()),
    ],
)
def test_directories_that_count_what_runs_are_those_of_sources_and_private_headers(
    paths: Sequence[str], folders: Sequence[str]
) -> None:
    assert profiled([Change("M", path) for path in paths]) == folders


def test_a_source_that_goes_away_makes_no_directory_count() -> None:
    assert profiled([Change("D", "fs/fuse/dir.c")]) == ()
