# SPDX-License-Identifier: GPL-2.0-or-later
"""Each way in which a stack falls back without a word is found in a real machine, and named."""

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.lab import run_job
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.suites import Setup, read_setup
from tests.iomap.conftest import IomapRun
from tests.machines import TCG, DemoRun, images_of

pytestmark = pytest.mark.vm
SHIM = Path(__file__).with_name("shim.c")
LEG = load_stack().leg("fuse4fs-iomap")
# fuse4fs becomes a script that runs the real one; $1: words before it, $2: sed's words about its arguments.
STAND_IN = """
stand_in() {
	[ -e /run/real/fuse4fs ] || { mkdir -p /run/real && cp /stack/bin/fuse4fs /run/real/; }
	printf '#!/bin/sh\\nwords=$(echo "$5" | sed "%s")\\nexec %s /run/real/fuse4fs "$1" "$2" "$3" -o "$words"\\n' \
		"$2" "$1" >/run/real/script
	chmod +x /run/real/script
	mount --bind /run/real/script /stack/bin/fuse4fs
}
"""
PRELOAD = "env LD_PRELOAD=/run/shim.so FAULT="
SETUP = "python3 -S /stack/suites/run.py setup"
RUN_SETUP = f"{SETUP} iomap"
CONTAINED = load_stack().leg("fuse4fs-service")
UNIT = "/stack/lib/systemd/system/fuse4fs"
# systemd reads its units when it starts, and it starts with the first mount.
RESTART = "kill -9 $(cat /run/reviewbot/service/pid) 2>/dev/null; sleep 1; rm -rf /run/filesystems"
UNCONTAINED = {
    "user-namespaces": ("echo 0 >/proc/sys/user/max_user_namespaces",
                        "Main process exited, code=exited, status=217/USER"),
    "other-socket": (f"sed s/ext4/ext5/ {UNIT}.socket >/run/socket; mount --bind /run/socket {UNIT}.socket",
                     "fuservicemount3: /run/filesystems/ext4: No such file or directory"),
}  # fmt: skip
SWITCH = "/sys/module/fuse/parameters/enable_iomap"
FALLBACKS = {
    "switch": (f"mount --bind /dev/null {SWITCH}", f"{SWITCH} stays off"),
    "not-offered": (f"echo 0 >{SWITCH}; : >/run/word; mount --bind /run/word {SWITCH}",
                    "the kernel does not offer iomap although it is switched on: the patch that enables it is missing"),
    "capability": ("stand_in 'setpriv --bounding-set=-sys_rawio'", "the server has no CAP_SYS_RAWIO"),
    "not-asked": ("stand_in '' s/iomap=1/iomap=0/", "the kernel offers iomap and the server did not ask for it"),
    "library": (f"stand_in '{PRELOAD}library'", "and the server does not use it: `fuse4fs: Could not enable iomap.`"),
    "configuration": (f"stand_in '{PRELOAD}configuration'",
                      "the kernel refused the server's configuration: `could not configure iomap, err=-22"),
    "device": (f"stand_in '{PRELOAD}device'", "the kernel refused the server's configuration"),
    "attributes": (f"stand_in '{PRELOAD}attributes'",
                   "I/O on a new file does not use iomap, its data went through the"),
    "not-exclusive": (f"stand_in '{PRELOAD}not-exclusive'",
                      "I/O on a new file does not use iomap, its data went through the server"),
    "structures": (f"stand_in '{PRELOAD}structures'", "I/O on a new file fails: Input/output error (EIO)"),
    "mappings": (f"stand_in '{PRELOAD}mappings'", "(EUCLEAN): the kernel does not accept the server's mappings"),
}  # fmt: skip


@pytest.fixture(scope="module")
def setups(iomap_run: IomapRun, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Setup]:
    """What setup found, by fallback; one machine for all. `none`: without any, before and after them."""
    folder = tmp_path_factory.mktemp("fallbacks")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Os", "-s", "-o", folder / "shim.so", SHIM], check=True)
    shim = base64.b64encode((folder / "shim.so").read_bytes()).decode()
    env = dict(suites.leg_env(LEG))

    def step(name: str, script: str) -> GuestStep:
        return GuestStep(name=f"setup/{name}", argv=("/bin/sh", "-c", STAND_IN + script), env=env, timeout=60)

    def contained(name: str, bring_about: str) -> GuestStep:
        undo = f"umount {UNIT}.socket 2>/dev/null; echo 1000 >/proc/sys/user/max_user_namespaces"
        script = f"{RESTART}; {bring_about or ':'}; {SETUP} containment; status=$?; {undo}; exit $status"
        env = dict(suites.leg_env(CONTAINED))
        return GuestStep(name=f"setup/{name}", argv=("/bin/sh", "-c", script), env=env, timeout=120)

    steps = [step("none", f"echo {shim} | base64 -d >/run/shim.so; {RUN_SETUP}")]
    for name, (bring_about, _) in FALLBACKS.items():
        undo = f"umount {SWITCH} /stack/bin/fuse4fs 2>/dev/null; umount -l /mnt/test 2>/dev/null"
        steps.append(step(name, f"{bring_about}; {RUN_SETUP}; status=$?; {undo}; exit $status"))
    steps.append(step("again", RUN_SETUP))
    steps.append(contained("contained", ""))
    steps += (contained(name, bring_about) for name, (bring_about, _) in UNCONTAINED.items())
    steps.append(contained("contained-again", ""))
    run = DemoRun(0, "", "", folder, iomap_run.folder)
    job = images_of(run).job(*steps, disks=suites.disks(1))
    done = run_job(job, TCG, folder / "machine")
    if not done.complete:  # as a run does: what a machine was asked that is lost, another one is
        done = run_job(job, TCG, folder / "another")
    assert done.complete, done.problem
    replies: dict[str, StepReply] = {reply.name: reply for reply in done.replies}
    return {name.removeprefix("setup/"): read_setup([reply]) for name, reply in replies.items()}


def test_without_a_fault_the_same_machine_proves_iomap(setups: Mapping[str, Setup]) -> None:
    assert (setups["none"].reason, setups["again"].reason) == ("", "")


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_a_silent_fallback_is_found_and_named(setups: Mapping[str, Setup], fallback: str) -> None:
    found = setups[fallback]
    assert not found.ok
    assert FALLBACKS[fallback][1] in found.reason


@pytest.mark.parametrize("name", ["contained", "contained-again"])
def test_a_service_whose_restrictions_are_in_force_is_proven(setups: Mapping[str, Setup], name: str) -> None:
    assert setups[name].reason == ""
    assert setups[name].proofs["service_capabilities"] == "none"


@pytest.mark.parametrize("name", UNCONTAINED)
def test_a_service_that_cannot_be_contained_or_reached_is_named(setups: Mapping[str, Setup], name: str) -> None:
    assert not setups[name].ok
    assert UNCONTAINED[name][1] in setups[name].reason
