# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of the command that are to be killed: a review without machines, and a whole `apply-and-test` with one."""

import json
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reviewbot.build.debian import buildroot
from reviewbot.config import load_site
from reviewbot.host import cgroups
from reviewbot.host.box import remove
from reviewbot.host.git import git
from reviewbot.host.paths import cache_dir
from reviewbot.store import Store
from tests.build.commits import WHO, Series, newest_import
from tests.build.libraries import FILES
from tests.hostile.caches import FETCHED, copy_repository, make_cache
from tests.machines import processes

MESON = """\
project('libfuse3', ['c'], version: '3.17.9', default_options: ['warning_level=2'])
includes = include_directories('include')
fuse = library('fuse3', 'lib/a.c', 'lib/b.c', version: '3.17.9', soversion: '4', install: true,
               include_directories: includes)
executable('fusermount3', 'util/mount.c', install: true)
install_headers('include/fuse.h', subdir: 'fuse3')
import('pkgconfig').generate(libraries: fuse, name: 'fuse3', version: '3.17.9', description: 'small')
"""
SITE = """\
archive: http://127.0.0.1:9/nothing
components:
  libfuse: {{provider: git, url: {url}, ref: master}}
"""


DEBIAN = """\
archive: http://127.0.0.1:9/nothing
components:
  kernel: {provider: deb, package: linux-source-6.12}
  libfuse: {provider: deb, package: fuse3, suite: trixie}
  e2fsprogs: {provider: deb, package: e2fsprogs, suite: trixie}
"""
_BESIDE = ("buildroot", "guest", "libfuse", "e2fsprogs")
"""Kinds of artifacts that no whole run makes anew."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a finished run left, without what differs from run to run: names, times."""

    status: int
    verdict: str
    outcomes: tuple[tuple[str, ...], ...]
    """One row per patch or test."""
    artifacts: Mapping[str, str]
    """Name -> hash of its contents, empty of those that may differ."""
    layers: tuple[str, ...]
    half_made: tuple[str, ...]
    """Folders of builds, machines and control groups that nobody uses any more."""


class World(ABC):
    """A posting, and a folder for caches and runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")

    @abstractmethod
    def cache(self, name: str) -> Path:
        """Of a run; made if it is not there."""

    @abstractmethod
    def words(self) -> Sequence[str]:
        """Arguments of the command."""

    @abstractmethod
    def outcomes(self, run: Path) -> tuple[tuple[str, ...], ...]:
        """What a run's folder says of each patch or test."""

    @abstractmethod
    def same(self, artifact: str) -> bool:
        """Whether the contents of an artifact of this name are the same each time."""

    @abstractmethod
    def again(self, number: int) -> None:
        """Called before the run of this number is begun for the first time."""

    def post(self, series: Series, since: str, *words: str) -> None:
        text = git(
            series.repository, "format-patch", "--stdout", "--thread", *words, f"{since}..{series.head}", env=WHO
        ).output
        (self.folder / "thread.mbox").write_text(text)

    def begin(self, name: str) -> "subprocess.Popen[str]":
        """The command, in the background."""
        env = {
            **os.environ,
            "REVIEWBOT_CACHE": str(self.cache(name)),
            "REVIEWBOT_DATA": str(self.folder / name / "data"),
            "REVIEWBOT_SITE": str(self.folder / "site.yaml"),
            "CI": "",
            "GITHUB_ACTIONS": "",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "reviewbot", *self.words()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=env,
        )  # fmt: skip

    def finish(self, name: str) -> Left:
        """Run it to its end."""
        with self.begin(name) as process:
            said, _ = process.communicate(timeout=3600)
        cache, run = self.cache(name), (self.folder / name / "data" / "runs" / "latest").resolve()
        if not (run / "verdict.json").exists():
            raise AssertionError(said)
        made = {path.name: path for path in (cache / "artifacts").iterdir() if not path.is_symlink()}
        return Left(
            status=process.returncode,
            verdict=json.loads((run / "verdict.json").read_bytes())["kind"],
            outcomes=self.outcomes(run),
            artifacts={
                _lasting(name): _content(path) if self.same(name) else "" for name, path in sorted(made.items())
            },
            layers=tuple(sorted(path.name for path in (cache / "layers").iterdir())),
            half_made=(*(path.name for path in (cache / "building").iterdir()), *_left_behind(cache, process.pid)),
        )


def _lasting(name: str) -> str:
    """Of an artifact: a saved machine has another key each time it is saved."""
    return "saved-machine" if name.startswith("saved-machine-") else name


def _left_behind(cache: Path, pid: int) -> list[str]:
    """Processes that have the cache open, and control groups of a process that is gone."""
    groups = [path.name for _, parent in cgroups.means().parents for path in parent.glob(f"reviewbot-{pid}-*")]
    return [*groups, *(f"process {number}" for number in processes(str(cache)))]


def _content(folder: Path) -> str:
    record: Any = json.loads((folder / "artifact.json").read_bytes())
    return str(record["artifact"]["content"])


class SmallReview(World):
    """The review of two patches of a small libfuse, each time with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        start = Series.from_nothing(folder, "libfuse")
        files = {**FILES, "meson.build": MESON, "util/mount.c": "int main(void)\n{\n\treturn 0;\n}\n"}
        start.patch("the library", {name: partial(str.__add__, text) for name, text in files.items()})
        git(start.repository, "update-ref", "refs/heads/master", start.head)
        series = Series(start.repository, start.head, "libfuse")
        series.patch("lib: use it", {"lib/a.c": lambda text: text.replace("return 0", "return b()")})
        series.patch("lib: warn", {"lib/b.c": lambda text: text + "static int fresh;\n"})
        self.post(series, start.head, "--to=fuse-devel@lists.linux.dev", "--subject-prefix=PATCH libfuse")
        (folder / "site.yaml").write_text(SITE.format(url=series.repository))

    def cache(self, name: str) -> Path:
        cache = self.folder / name / "cache"
        return cache if cache.exists() else make_cache(cache)

    def again(self, number: int) -> None:
        """Each begins with a new cache."""

    def words(self) -> Sequence[str]:
        return "review", "--mbox", str(self.folder / "thread.mbox")

    def outcomes(self, run: Path) -> tuple[tuple[str, ...], ...]:
        review: Any = json.loads((run / "review.json").read_bytes())
        builds = (patch["build"] for patch in review["patches"])
        return tuple((b["commit"], b["state"], *(w["message"] for w in b["warnings"])) for b in builds)

    def same(self, artifact: str) -> bool:
        return artifact.startswith("libfuse-")


class WholeRun(World):
    """smoke on ext4 in a machine, of a patch to the demo's kernel. All use one cache.

    The run begins with what the demo left: layers of the kernel's base, the guest, and the components that the posting
    does not change. What it makes itself is removed before each of its repetitions, or all of it but the kernel.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        source = cache_dir() / "repos" / "kernel.git"
        base = newest_import(source)
        assert base, "run the demo first"
        series = Series.on(source, base, folder, "kernel")
        series.patch("ext4: say nothing new", {"fs/ext4/bitmap.c": lambda text: text + "\n/* killed and repeated */\n"})
        self.post(series, base, "--to=linux-ext4@vger.kernel.org")
        (folder / "site.yaml").write_text(DEBIAN)
        cache = make_cache(folder / "cache")
        for artifact in (artifact for kind in _BESIDE[1:] for artifact in Store(cache_dir()).of(kind)):
            (cache / "artifacts" / Path(artifact.path).name).symlink_to(artifact.path)
        for name in FETCHED[:1]:
            shutil.copytree(cache_dir() / name, cache / name, symlinks=True)
        copy_repository(cache, "kernel.git")
        (cache / "layers").mkdir()
        for layer in (cache_dir() / "layers").glob("*kernel-*"):
            if not layer.name.startswith("kernel-review"):  # reviews add to theirs
                (cache / "layers" / layer.name).symlink_to(layer)

    def cache(self, name: str) -> Path:
        return self.folder / "cache"

    def words(self) -> Sequence[str]:
        chosen = ("--legs", "ext4", "--suites", "smoke", "--no-review")
        return "apply-and-test", "--mbox", str(self.folder / "thread.mbox"), *chosen

    def outcomes(self, run: Path) -> tuple[tuple[str, ...], ...]:
        results: Any = json.loads((run / "results.json").read_bytes())
        return tuple(
            (leg["leg"], test["suite"], test["test"], test["outcome"])
            for leg in results["legs"]
            for test in leg["tests"]
        )

    def same(self, artifact: str) -> bool:
        return artifact.startswith(("kernel-", "payload-"))

    def again(self, number: int) -> None:
        kept = (*_BESIDE, *(("kernel",) if number % 2 else ()))
        for path in (self.folder / "cache" / "artifacts").iterdir():
            if not path.name.startswith(kept):
                remove(path)
