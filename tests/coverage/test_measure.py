# SPDX-License-Identifier: GPL-2.0-or-later
"""From compiled programs that ran to the patched lines they reached: the build root's own gcc and gcov."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from reviewbot.build.debian import buildroot
from reviewbot.config import choose_variant, load_site
from reviewbot.coverage import measure
from reviewbot.coverage.measure import Measured
from reviewbot.host.box import remove
from reviewbot.host.checkout import lay_out
from reviewbot.host.paths import cache_dir
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.coverage import PatchedLines
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from tests.build.commits import Series

pytestmark = pytest.mark.build
BASE = {
    "lib/clamp.h": "static inline int clamp(int x)\n{\n\treturn x;\n}\n",
    "lib/main.c": '#include <stdlib.h>\n#include "clamp.h"\nint other(int);\nint main(int argc, char **argv)\n{\n'
    "\tint n = clamp(argc);\n\treturn n > 5 ? other(n) : 0;\n}\n",
    "lib/other.c": '#include "clamp.h"\nint other(int x)\n{\n\treturn clamp(x) - x;\n}\n',
    "lib/unused.c": "int unused(void)\n{\n\treturn 1;\n}\n",
}
CLAMP = "\tif (x > 100)\n\t\treturn 100;\n"
TWO = "\tif (argc == 2)\n\t\tn = abs(n);\n\tif (argc == 3)\n\t\tabort();\n"
BUILD = """cd /obj; mkdir lib
for f in main other; do gcc $CFLAGS -c -o lib/$f.o /src/lib/$f.c; done
gcc $CFLAGS -c -o lib/unused.o /src/lib/unused.c
gcc $LDFLAGS -o prog lib/main.o lib/other.o
find lib -name '*.gcno' -exec cp --parents -t /out/gcno {} +"""


class Machine:
    """One component, compiled as the variant has it, and runs of its program in place of guests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(cache_dir())
        root = buildroot(self.store, load_site().debian_suite, folder / "buildroot.log")
        self.box = Sandbox(Path(root.path) / "root")
        start = Series.from_nothing(folder, "e2fsprogs")
        start.patch("base", {path: partial(str.__add__, text) for path, text in BASE.items()})
        self.series = Series(start.repository, start.head, "e2fsprogs")
        self.artifacts = Artifacts(
            artifacts={"buildroot": root, "e2fsprogs": Artifact(kind="e2fsprogs", key="0", path=str(folder / "built"))}
        )

    def build(self) -> None:
        for name in ("src", "obj", "built/gcno"):
            (self.folder / name).mkdir(parents=True)
        tree = self.series.tree()
        lay_out(Path(tree.repository), tree.head_commit, self.folder / "src")
        binds = {
            "/src": Bind(self.folder / "src"),
            "/obj": Bind(self.folder / "obj", writable=True),
            "/out": Bind(self.folder / "built", writable=True),
        }
        flags = choose_variant(["gcov"]).flags("e2fsprogs")
        self.box.run(
            ["bash", "-euc", BUILD],
            binds=binds,
            env=flags,
            log=self.folder / "build.log",
            log_limit=1 << 20,
            timeout=60,
        )

    def run(self, leg: str, *arguments: str, machine: str = "smoke") -> Path:
        """Run the program; the folder that its counters came back in."""
        counters = self.folder / "logs" / leg / f"{leg}-{machine}" / "coverage" / "gcov"
        counters.parent.mkdir(parents=True)
        guest = self.folder / "guest"
        (guest / "reviewbot" / "gcov").mkdir(parents=True)
        binds = {"/obj": Bind(self.folder / "obj"), "/run": Bind(guest, writable=True)}
        log = self.folder / "run.log"
        self.box.run(
            ["/obj/prog", *arguments], binds=binds, log=log, log_limit=1 << 20, timeout=20, cwd="/", check=False
        )
        (guest / "reviewbot" / "gcov").rename(counters)
        remove(guest)
        return counters

    def measured(self, *legs: str) -> Measured:
        tree = self.series.tree()
        names = {patch.commit: f"patch {number}" for number, patch in enumerate(tree.patches, 1)}
        return measure(
            "run",
            "reviewbot",
            Trees(trees=(tree,)),
            self.artifacts,
            {leg: self.folder / "logs" / leg for leg in legs},
            names,
            self.folder / "gcov",
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return Machine(tmp_path)


def by_patch(found: Measured) -> dict[tuple[str, str], PatchedLines]:
    return {(one.patch, one.file): one for one in found.coverage.patches}


def test_patched_lines_that_ran_in_one_leg_or_in_none(machine: Machine) -> None:
    machine.series.patch("one", {"lib/clamp.h": lambda text: text.replace("\treturn x;", CLAMP + "\treturn x;")})
    machine.series.patch("two", {"lib/main.c": lambda text: text.replace("\treturn n", TWO + "\treturn n")})
    machine.series.patch("three", {"lib/unused.c": lambda text: text.replace("1", "2"), "README": lambda _: "Read.\n"})
    machine.build()
    machine.run("ext4")
    machine.run("fuse2fs", "one")
    machine.run("fuse2fs", *"123456", machine="fstests")
    (machine.folder / "logs" / "lost").mkdir()
    found = machine.measured("ext4", "fuse2fs", "lost")

    header = by_patch(found)["patch 1", "lib/clamp.h"]
    assert (header.executable, header.not_reached) == ((3, 4), (4,)), "lines of a header, in the objects that have it"
    main = by_patch(found)["patch 2", "lib/main.c"]
    assert (main.executable, main.not_reached) == ((7, 8, 9, 10), (10,))
    assert main.legs == {"ext4": (7, 9), "fuse2fs": (7, 8, 9)}, "two machines of a leg are added up"
    assert main.words() == "lib/main.c:10 (patch 2)"
    unused = by_patch(found)["patch 3", "lib/unused.c"]
    assert (unused.executable, unused.not_reached) == ((3,), (3,)), "an object that no program loaded is not reached"
    assert found.coverage.words() == "patched lines: 7 executable, 4 reached, 3 not reached"
    assert found.coverage.notes == ("lost: no counters came back",)
    files = {line for line in found.tracefile.splitlines() if line.startswith(("TN:", "SF:"))}
    assert files == {
        "TN:ext4",
        "TN:fuse2fs",
        *(f"SF:e2fsprogs/lib/{name}" for name in ("clamp.h", "main.c", "unused.c")),
    }


def test_counters_that_a_guest_made_up_count_as_none(machine: Machine) -> None:
    machine.series.patch("one", {"lib/main.c": lambda text: text.replace("\treturn n", TWO + "\treturn n")})
    machine.build()
    counters = machine.run("ext4")
    for path in counters.glob("*.gcda"):
        path.write_bytes(path.read_bytes()[:40] + b"\xff" * 4000)
    (counters / "#obj#lib#other.gcda").unlink()
    (counters / "#obj#lib#other.gcda").symlink_to("/etc/passwd")
    (counters / "#obj#..#..#etc#x.gcda").write_bytes(b"x")
    (counters / "notes").write_text("a server was killed\n" * 1000)
    found = machine.measured("ext4")
    (main,) = found.coverage.patches
    assert set(main.executable) == {7, 8, 9, 10}
    assert found.coverage.notes == ("ext4: a server was killed",)


def test_what_has_no_counters_is_named(machine: Machine) -> None:
    machine.series.patch("one", {"lib/main.c": lambda text: text + "int x;\n"})
    (machine.folder / "built").mkdir()
    (machine.folder / "obj").mkdir()
    machine.run("ext4")
    found = machine.measured("ext4").coverage
    assert found.patches == ()
    assert found.unmeasured == {"e2fsprogs": ("lib/main.c",)}
    assert found.notes == ("e2fsprogs is not built with counters",)
    assert found.words() == "patched lines: none that was compiled to code was measured"
