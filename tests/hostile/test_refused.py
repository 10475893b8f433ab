# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that cannot give a wall: its runs are refused, unless the site file does without that one."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.verdict import ExitStatus
from tests.hostile.callers import Caller, user_calls

IDS = ("/etc/subuid", "/etc/subgid")
ATTACK = """
import pathlib, sys
from reviewbot.host.limits import Rules, use_rules
from tests.hostile.attack import Wishes, main
use_rules(Rules(without=frozenset(sys.argv[2:])))
folder = pathlib.Path(sys.argv[1])
script = "id -u; cat /proc/sys/kernel/ostype; echo x > /out/file; unshare --user true && echo nested"
told = main(folder, Wishes(script, {}))
print(told.status, told.output)
print((folder / "out" / "file").stat().st_uid)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """An ordinary user without subordinate ids."""
    if os.geteuid() != 0:
        pytest.skip("only root can take a user's subordinate ids away")
    hide = "; ".join(f"mount --bind /dev/null {path}" for path in IDS if Path(path).exists())
    with user_calls(tmp_path_factory.mktemp("caller")) as caller:
        words = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{hide or ":"}; exec "$@"', "sh")
        yield dataclasses.replace(caller, python=(*words, *caller.python))


def site(caller: Caller, text: str) -> dict[str, str]:
    path = caller.home / "site.yaml"
    path.write_text(text)
    return {"REVIEWBOT_SITE": str(path)}


def test_a_run_is_refused_before_anything_is_fetched(alone: Caller) -> None:
    for command in ("review", "apply-and-test"):
        done = alone.run("-m", "reviewbot", command, "nobody@nowhere.invalid")
        assert done.returncode == ExitStatus.USAGE, done.stderr
        assert "(user)" in done.stderr and "no subordinate ids" in done.stderr
        assert "box: {without: [user]}" in done.stderr and done.stderr.count("\n") == 1


def test_to_do_without_another_wall_is_not_enough(alone: Caller) -> None:
    env = site(alone, "box: {without: [system-calls, terminal]}\n")
    done = alone.run("-m", "reviewbot", "review", "nobody@nowhere.invalid", env=env)
    assert done.returncode == ExitStatus.USAGE and "(user)" in done.stderr


def test_doctor_names_it_and_says_when_the_site_does_without(alone: Caller) -> None:
    for text, required in (("accelerator: tcg\n", True), ("box: {without: [user]}\n", False)):
        done = alone.run("-m", "reviewbot", "doctor", "--json", env=site(alone, text))
        rows = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        row = rows["box: user"]
        assert (row["ok"], row["required"]) == (False, required)
        assert ("waived in the site file" in row["says"]) is not required
        assert all(row["ok"] for name, row in rows.items() if name.startswith("box: ") and name != "box: user")


def test_without_it_the_box_has_the_callers_id_and_all_other_walls(alone: Caller) -> None:
    folder = alone.home / "without"
    folder.mkdir()
    os.chown(folder, alone.uid, -1)
    done = alone.run("-c", ATTACK, str(folder), "user")
    assert done.returncode == 0, done.stderr
    assert " 1000\nLinux\n" in done.stdout and "nested" not in done.stdout
    assert done.stdout.splitlines()[-1] == str(alone.uid)
