#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0-or-later
"""PID 1 of a machine that nobody's host side speaks to: set the leg up, then a shell on the console.

`init` starts it instead of the agent when the kernel was told `reviewbot.shell`. What the kernel does not know of its
command line it puts into our environment: `LEG_NAME=…` and the like, and `LEG_PROVE` with what setup has to prove.
"""

import fcntl
import os
import signal
import subprocess
import termios

HINT = """
{leg}: to mount: mount -t {fstyp} {options}/dev/disk/by-serial/TEST_DEV /mnt/test
smoke:   run smoke mkfs; run smoke mount; run smoke CHECK ...
{fstests}`exit` ends the machine; Ctrl-A X ends QEMU
"""
FSTESTS = "fstests: cd /stack/fstests && ./check generic/001\n"
RC = "/run/reviewbot/bashrc"
BASHRC = r"""
PS1=${LEG_NAME:-reviewbot}':\w\$ '
run() { python3 -S /stack/suites/run.py "$@"; }
"""


def set_up(env: dict[str, str]) -> None:
    """As a leg's first steps do. That it fails may be what somebody is here for."""
    steps = [["python3", "-S", "/stack/suites/run.py", "setup", *env.get("LEG_PROVE", "").split()]]
    if os.path.exists("/stack/fstests/check"):
        steps.append(["/stack/suites/fstests/prepare"])
    for argv in steps:
        done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            print(f"{' '.join(argv[-2:])} ended with status {done.returncode}:\n{done.stdout}")


def shell(env: dict[str, str]) -> None:
    """A shell that has the console as its terminal; returns when it ends."""
    with open("/sys/class/tty/console/active") as file:
        console = "/dev/" + file.read().split()[-1]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        terminal = os.open(console, os.O_RDWR)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        for number in range(3):
            os.dup2(terminal, number)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.chdir("/root")
        os.execvpe("bash", ["bash", "--rcfile", RC, "-i"], env)
    while os.waitpid(-1, 0)[0] != pid:
        continue  # everybody's orphans are ours


def main() -> None:
    os.chdir("/")
    from agent import ENV, power_off
    from boot import prepare

    prepare()
    leg = {name: value for name, value in os.environ.items() if name.startswith("LEG_")}
    env = {**ENV, **leg, "PYTHONPYCACHEPREFIX": "/run/reviewbot/pycache", "TERM": "vt220",
           "HOST_OPTIONS": "/run/reviewbot/fstests.config"}  # fmt: skip
    if leg:
        set_up(env)
        name, options = leg["LEG_NAME"], leg.get("LEG_MOUNT_OPTIONS", "")
        fstests = FSTESTS if os.path.exists("/stack/fstests/check") else ""
        print(
            HINT.format(leg=name, fstyp=leg["LEG_FSTYP"], options=f"-o {options} " if options else "", fstests=fstests),
            end="",
            flush=True,
        )
    with open(RC, "w") as file:
        file.write(BASHRC)
    shell(env)
    power_off()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # PID 1 must not die without a word
        print(f"reviewbot-bare: died: {error!r}", flush=True)
        raise
