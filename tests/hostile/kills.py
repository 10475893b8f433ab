# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills a review with SIGKILL at random moments and repeats it: the same verdict, nothing lost and nothing twice.

`python -m tests.hostile.kills [TIMES [SEED]]`, thirty times by default. Each time with a cache of its own, which has
the user's build root and nothing else. The review builds a small libfuse and its two patches.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reviewbot.build.debian import buildroot
from reviewbot.config import load_site
from reviewbot.host.git import git
from reviewbot.host.paths import cache_dir
from reviewbot.store import Store
from tests.build.commits import WHO, Series
from tests.build.libraries import FILES
from tests.hostile.caches import make_cache

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


@dataclass(frozen=True, slots=True)
class Left:
    """What a finished review left, without what differs from run to run: names, times."""

    status: int
    verdict: str
    builds: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Per patch: its commit, how it built, its warnings."""
    artifacts: Mapping[str, str]
    """Name -> hash of its contents, of all that may not differ."""
    layers: tuple[str, ...]
    half_made: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A posting on a small libfuse, and a folder for caches and runs."""

    folder: Path

    def __post_init__(self) -> None:
        buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")
        start = Series.from_nothing(self.folder, "libfuse")
        files = {**FILES, "meson.build": MESON, "util/mount.c": "int main(void)\n{\n\treturn 0;\n}\n"}
        start.patch("the library", {name: partial(str.__add__, text) for name, text in files.items()})
        git(start.repository, "update-ref", "refs/heads/master", start.head)
        series = Series(start.repository, start.head, "libfuse")
        series.patch("lib: use it", {"lib/a.c": lambda text: text.replace("return 0", "return b()")})
        series.patch("lib: warn", {"lib/b.c": lambda text: text + "static int fresh;\n"})
        text = git(
            series.repository, "format-patch", "--stdout", "--thread", "--to=fuse-devel@lists.linux.dev",
            "--subject-prefix=PATCH libfuse", f"{start.head}..{series.head}", env=WHO,
        ).output  # fmt: skip
        (self.folder / "thread.mbox").write_text(text)
        (self.folder / "site.yaml").write_text(SITE.format(url=series.repository))

    def begin(self, name: str) -> "subprocess.Popen[str]":
        """The command, in the background, with the cache `name`."""
        cache = self.folder / name / "cache"
        if not cache.exists():
            make_cache(cache)
        env = {
            **os.environ, "REVIEWBOT_CACHE": str(cache), "REVIEWBOT_DATA": str(self.folder / name / "data"),
            "REVIEWBOT_SITE": str(self.folder / "site.yaml"), "CI": "", "GITHUB_ACTIONS": "",
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "reviewbot", "review", "--mbox", str(self.folder / "thread.mbox")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=env,
        )  # fmt: skip

    def finish(self, name: str) -> Left:
        """Run it to its end."""
        with self.begin(name) as process:
            said, _ = process.communicate(timeout=3600)
        cache, run = self.folder / name / "cache", (self.folder / name / "data" / "runs" / "latest").resolve()
        if not (run / "review.json").exists():
            raise AssertionError(said)
        review: Any = json.loads((run / "review.json").read_bytes())
        builds = tuple(
            (patch["build"]["commit"], patch["build"]["state"], tuple(w["message"] for w in patch["build"]["warnings"]))
            for patch in review["patches"]
        )
        made = {path.name: path for path in (cache / "artifacts").iterdir() if not path.is_symlink()}
        same = {name: _content(path) if name.startswith("libfuse-") else "" for name, path in made.items()}
        verdict = json.loads((run / "verdict.json").read_bytes())["kind"]
        return Left(
            status=process.returncode, verdict=verdict, builds=builds, artifacts=same,
            layers=tuple(sorted(path.name for path in (cache / "layers").iterdir())),
            half_made=tuple(path.name for path in (cache / "building").iterdir()),
        )  # fmt: skip


def _content(folder: Path) -> str:
    record: Any = json.loads((folder / "artifact.json").read_bytes())
    return str(record["artifact"]["content"])


def kills(times: int, seed: int, folder: Path) -> list[str]:
    """What was not as without a kill; one line each. Says what it does."""
    world, dice = World(folder), random.Random(seed)
    began = time.monotonic()
    wanted = world.finish("undisturbed")
    seconds = time.monotonic() - began
    wrong = []
    for number in range(1, times + 1):
        name, moments = f"kill-{number}", [dice.uniform(0, seconds) for _ in range(dice.choice((1, 1, 2)))]
        for moment in moments:
            with world.begin(name) as process:
                time.sleep(moment)
                os.kill(process.pid, signal.SIGKILL)
        found = world.finish(name)
        words = "same" if found == wanted else f"DIFFERS: {found} instead of {wanted}"
        sys.stderr.write(f"{number}: killed after {', '.join(f'{m:.1f} s' for m in moments)}: {words}\n")
        if found != wanted:
            wrong.append(f"{number}, killed after {moments}: {found} instead of {wanted}")
        subprocess.run(["rm", "-rf", world.folder / name], check=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.kills", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=30)
    parser.add_argument("seed", type=int, nargs="?", default=1, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-", dir=cache_dir().parent) as name:
        return 1 if kills(arguments.times, arguments.seed, Path(name)) else 0


if __name__ == "__main__":
    sys.exit(main())
