# SPDX-License-Identifier: GPL-2.0-or-later
"""Postings whose build leaves what may not leave its box: mailed, applied and built for real."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from demo.__main__ import SITE
from reviewbot.build.debian import buildroot
from reviewbot.config import load_site
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.store import Store
from tests.hostile.caches import copy_repository, make_cache
from tests.mails import mbox

pytestmark = [pytest.mark.build, pytest.mark.network]
HOOK = """\
diff --git a/util/meson.build b/util/meson.build
--- a/util/meson.build
+++ b/util/meson.build
@@ -32,3 +32,4 @@ meson.add_install_script('install_helper.sh',
                          udevrulesdir,
                          '@0@'.format(get_option('useroot')),
                          get_option('initscriptdir'))
+meson.add_install_script('more.sh')
"""


def posting(name: str, script: str) -> list[bytes]:
    """A patch to libfuse with a script that runs when its build installs; $STACK is what goes to the guest."""
    lines = ["#!/bin/sh", "set -e", 'STACK="$DESTDIR/stack"', *script.splitlines()]
    added = "".join(f"+{line}\n" for line in lines)
    patch = (
        "Say more of what is installed.\n\nSigned-off-by: Dana Example <dana@example.org>\n---\n"
        f"diff --git a/util/more.sh b/util/more.sh\nnew file mode 100755\n--- /dev/null\n+++ b/util/more.sh\n"
        f"@@ -0,0 +1,{len(lines)} @@\n{added}{HOOK}"
    )
    message = EmailMessage()
    message["From"] = "Dana Example <dana@example.org>"
    message["To"] = "fuse-devel@lists.linux.dev"
    message["Date"] = "Mon, 02 Nov 2026 09:00:00 +0000"
    message["Subject"] = "[PATCH libfuse] util: install more"
    message["Message-ID"] = f"<20261102.{name}@example.org>"
    message.set_content(patch, cte="8bit")
    return [message.as_bytes()]


@dataclass(frozen=True, slots=True)
class Host:
    """A user with a cache of their own, and a folder that no posting may touch."""

    folder: Path

    @property
    def victim(self) -> Path:
        return self.folder / "victim"

    def review(self, name: str, script: str, cache: str = "cache") -> tuple[int, str]:
        """Exit status and all that was said."""
        data = self.folder / f"data-{name}-{cache}"
        data.mkdir()
        (data / "thread.mbox").write_bytes(mbox(posting(name, script)))
        (data / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9/nothing"))
        done = subprocess.run(
            [sys.executable, "-m", "reviewbot", "review", "--mbox", str(data / "thread.mbox")],
            capture_output=True, text=True, check=False,
            env={**os.environ, "REVIEWBOT_CACHE": str(self.folder / cache), "REVIEWBOT_DATA": str(data),
                 "REVIEWBOT_SITE": str(data / "site.yaml"), "CI": "", "GITHUB_ACTIONS": ""},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def libfuses(self, cache: str = "cache") -> list[Artifact]:
        return list(Store(self.folder / cache).of("libfuse"))

    def verdict(self, name: str) -> dict[str, object]:
        run = (self.folder / f"data-{name}-cache" / "runs" / "latest").resolve()
        found: dict[str, object] = json.loads((run / "verdict.json").read_bytes())
        return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    made = Host(tmp_path_factory.mktemp("hostile"))
    buildroot(Store(cache_dir()), load_site().debian_suite, made.folder / "buildroot.log")
    for cache in ("cache", "empty"):
        copy_repository(make_cache(made.folder / cache), "libfuse.git")
        if (cache_dir() / "apt").is_dir():
            shutil.copytree(cache_dir() / "apt", made.folder / cache / "apt")
    (made.victim / "docs/man").mkdir(parents=True)
    (made.victim / "profile").write_text("mine\n")
    yield made
    shutil.rmtree(made.folder)


HOSTILE = {
    "link-to-a-file": ('ln -s {victim}/profile "$STACK/bin/pwn"', "stack/bin/pwn is a symlink that points outside"),
    "link-to-a-folder": (
        'rm -rf "$STACK/share"; ln -s {victim}/docs "$STACK/share"',
        "stack/share is a symlink that points outside",
    ),
    "pipe": ('mkfifo "$STACK/bin/group.list"', "stack/bin/group.list is neither a plain file nor a folder"),
    "our-agent": (
        'mkdir "$STACK/agent"; echo >"$STACK/agent/agent.py"',
        "it installs agent, a name that is reserved for reviewbot",
    ),
    "deep": (
        'cd "$STACK"; way=$(printf "d/%.0s" $(seq 500)); for n in 1 2 3; do mkdir -p "$way"; cd -P "$way"; done',
        "is nested too deeply",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_may_not_leave_a_box_is_the_postings_build_failure(host: Host, name: str) -> None:
    script, words = HOSTILE[name]
    status, said = host.review(name, script.format(victim=host.victim))
    assert status == 1, said
    assert "BUILD-FAILS" in said and "Traceback" not in said
    assert words in json.dumps(host.verdict(name))
    assert (host.victim / "profile").read_text() == "mine\n" and (host.victim / "docs/man").is_dir()
    assert len(host.libfuses()) <= 1, "that of the base, to see whose fault it is"
    assert not list((host.folder / "cache/building").iterdir())


def test_an_honest_posting_after_them_gets_what_it_gets_from_an_empty_cache(host: Host) -> None:
    honest = 'echo more >"$STACK/share/more"'
    for cache in ("cache", "empty"):
        status, said = host.review("honest", f'mkdir -p "$STACK/share"; {honest}', cache)
        assert status == 0, said
    (alone,) = host.libfuses("empty")
    assert [made.content for made in host.libfuses("cache") if made.key == alone.key] == [alone.content]


def test_an_artifact_that_was_cut_short_is_said_and_built_again(host: Host) -> None:
    script = 'mkdir -p "$STACK/share"; echo more >"$STACK/share/more"'
    assert host.review("before", script, "empty")[0] == 0
    (whole,) = host.libfuses("empty")
    library = next(Path(whole.path).glob("root/stack/lib/libfuse3.so.*.*"))
    os.truncate(library, 100)
    status, said = host.review("after", script, "empty")
    assert status == 0, said
    name = library.relative_to(whole.path)
    assert f"the libfuse in the cache is damaged: {name} was modified; rebuilding it" in said
    assert [made.content for made in host.libfuses("empty")] == [whole.content]
