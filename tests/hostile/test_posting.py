# SPDX-License-Identifier: GPL-2.0-or-later
"""Postings whose build attacks the host: built by the recipe of libfuse in the real build root."""

import dataclasses
import json
import os
import secrets
import shutil
from pathlib import Path

import pytest

from reviewbot.build.debian import buildroot
from reviewbot.config import load_site
from reviewbot.host.box import remove
from reviewbot.host.paths import cache_dir
from reviewbot.store import Store
from tests.hostile.build import Built, Wishes
from tests.hostile.callers import Caller

pytestmark = pytest.mark.build
SEEN = """
mkdir -p /out/stack/share
exec 2> /dev/null >> /out/stack/share/found
echo "in $1: $(id -u)"
find /proc/sys -type f -writable
for name in kernel/core_pattern vm/drop_caches kernel/hostname; do
	(cat /proc/sys/$name > /proc/sys/$name) && echo "reached $name"
done
grep -q s3cr3t /proc/*/environ && echo reached environment
ls /roo?/.ssh /home/*/* /sys/kernel && echo reached files
unshare -Ur true && echo reached namespaces
(exec 3<> /dev/tcp/127.0.0.1/22) && echo reached network
cp /bin/bash /obj/shell && chmod 4755 /obj/shell && echo reached set-uid
cp /bin/bash /out/stack/share/shell && chmod 6755 /out/stack/share/shell && echo reached set-uid
exit 0
"""


@pytest.fixture(scope="module")
def root(caller: Caller) -> dict[str, object]:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    found = buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")
    there = caller.cache / Path(found.path).relative_to(cache_dir())
    return {**found.model_dump(mode="json"), "path": str(there)}


def build(caller: Caller, root: dict[str, object], attack: str, **limits: int) -> Built:
    folder = caller.home / f"build-{secrets.token_hex(8)}"
    folder.mkdir()
    os.chown(folder, caller.uid, -1)
    wishes = Wishes(attack, root, limits)
    done = caller.run("-m", "tests.hostile.build", str(folder), stdin=json.dumps(dataclasses.asdict(wishes)))
    assert done.returncode == 0, done.stderr
    remove(folder)
    return Built(**json.loads(done.stdout))


def test_an_attack_in_a_build_finds_nothing_and_leaves_nothing(caller: Caller, root: dict[str, object]) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    built = build(caller, root, SEEN)
    assert built.error == "" and built.facts["version"] == "3.99"
    assert built.found.splitlines() == ["in configure: 1000", "in build: 1000", "in install: 1000"]
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    modes = {name.rpartition(" ")[2] for name in built.files}
    assert modes <= {"644", "755"} and any("share/shell" in name for name in built.files)


@pytest.mark.parametrize(("attack", "what"), [
    ('bomb() { bomb | bomb & }; [ "$1" = configure ] || while :; do bomb; sleep 1; done', "processes"),
    ('[ "$1" = build ] && tail /dev/zero; exit 0', "memory"),
    ('[ "$1" = install ] && head -c 100000000000 /dev/zero > /out/stack/large; exit 0', "disk"),
    # meson and ninja keep what their children say, until that is too much memory.
    ('[ "$1" = install ] && yes "a line that never ends" >&2; exit 0', "memory"),
    ('[ "$1" = build ] && { cd /obj; i=0; while :; do i=$((i + 1)); : > f$i; done; }; exit 0', "inodes"),
])  # fmt: skip
def test_a_build_that_takes_all_is_ended_and_the_host_goes_on(
    caller: Caller, root: dict[str, object], attack: str, what: str
) -> None:
    mib = 1 << 20
    built = build(
        caller,
        root,
        attack,
        memory=1000 * mib,
        processes=300,
        disk=300 * mib,
        inodes=20_000,
    )
    assert (built.exceeded, built.error) == (what, "")
    assert built.log <= 64 * mib
