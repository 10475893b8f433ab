# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine cannot give is named, and refused unless the site does without."""

import json
import sys
from pathlib import Path

import pytest

from reviewbot.config import Box, Site, load_site
from reviewbot.host.limits import Limits, Rules, use_rules
from reviewbot.host.process import run
from reviewbot.host.sandbox import Sandbox, examine
from reviewbot.host.walls import WAIVABLE, WallMissing, judge, read
from reviewbot.model.errors import ConfigError
from reviewbot.model.verdict import ExitStatus

GOOD = {
    "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "processes": "5",
    "network": "lo", "environment": "0", "end": "yes",
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "wall"), [
    ({"network": "lo eth0"}, "namespaces"),
    ({"processes": "217"}, "namespaces"),
    ({"CapBnd": "000001ffffffffff"}, "namespaces"),
    ({"writable": "/proc/sys/kernel/core_pattern"}, "sysctls"),
    ({"sys": "there"}, "sysctls"),
    ({"nested": "yes"}, "user-namespaces"),
    ({"Seccomp": "0"}, "system-calls"),
    ({"terminal": "yes"}, "terminal"),
    ({"environment": "412"}, "environment"),
])  # fmt: skip
def test_what_is_seen_inside_names_the_wall_that_is_missing(wrong: dict[str, str], wall: str) -> None:
    walls = judge({**GOOD, **wrong}, own_user="", no_seccomp="", no_box="")
    assert [one.name for one in walls if not one.holds] == [wall]


def test_a_box_that_says_nothing_holds_nothing() -> None:
    assert [wall.holds for wall in judge(read(""), own_user="", no_seccomp="", no_box="")] == [False]
    (wall,) = judge(read(""), own_user="", no_seccomp="", no_box="bwrap: No permissions to create new namespace")
    assert "No permissions" in wall.says


def test_an_error_says_what_is_missing_and_both_ways_out() -> None:
    walls = judge(GOOD, own_user="no subordinate ids", no_seccomp="", no_box="")
    error = WallMissing(tuple(wall for wall in walls if not wall.holds))
    assert error.exit_status == ExitStatus.USAGE
    assert "(user)" in str(error) and "no subordinate ids" in str(error)
    assert "apt-get install uidmap" in error.hint and "box: {without: [user]}" in error.hint


def test_this_machine_has_all_of_them() -> None:
    assert [wall for wall in examine() if not wall.holds] == [], "the tests of this project need a machine that does"
    assert {wall.name for wall in examine()} == {"namespaces", *WAIVABLE}


WITHOUT_LIBRARY = """
import json, sys
from pathlib import Path
sys.modules["pyseccomp"] = None
from reviewbot.config import Box, Site, use_boxes
from reviewbot.host.sandbox import Sandbox
from reviewbot.host.walls import WallMissing
from tests.review.trees import HOST
folder, said = Path(sys.argv[1]), []
def status():
    done = Sandbox(HOST).run(["sed", "-n", "s/^Seccomp:[[:space:]]*//p", "/proc/self/status"], cwd="/", binds={},
                             log=folder / "log", log_limit=1000, timeout=60)
    said.append(done.output.strip())
for site in (Site(), Site(box=Box(without=("user",))), Site(box=Box(without=("system-calls",)))):
    try:
        use_boxes(site)
        status()
    except WallMissing as error:
        said.append([wall.name for wall in error.missing])
print(json.dumps(said))
"""


def test_without_libseccomp_nothing_runs_unless_the_site_does_without_that_one(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", WITHOUT_LIBRARY, tmp_path], cwd=Path(__file__).parents[2], split=True)
    assert json.loads(done.output) == [["system-calls"], ["system-calls"], "0"]


def test_the_site_file_sets_limits(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("box: {memory_gib: 1.5, processes: 100, disk_gib: 2, files: 5000, output_mib: 3, tmp_gib: 1}\n")
    limits = Limits(memory=3 << 29, processes=100, disk=2 << 30, inodes=5000, output=3 << 20, room=1 << 30)
    assert load_site(site).box.rules == Rules(limits)
    assert Box().rules == Rules() and Site().box == Box()
    assert 0 < Limits().bytes_of_memory <= 8 << 30
    site.write_text("box: {without: [network]}\n")
    with pytest.raises(ConfigError) as caught:
        load_site(site)
    assert f"{site}:1: box.without.0" in str(caught.value)


def test_the_limits_of_the_site_hold_for_every_box(tmp_path: Path) -> None:
    use_rules(Rules(Limits(room=1 << 20)))
    try:
        done = Sandbox(Path("/")).run(
            ["sh", "-c", "head -c 2000000 /dev/zero > /tmp/x; stat -c %s /tmp/x"],
            binds={},
            cwd="/",
            log=tmp_path / "log",
            log_limit=1000,
            timeout=60,
        )
    finally:
        use_rules(Rules())
    assert done.output.splitlines()[-1] == str(1 << 20)
