# SPDX-License-Identifier: GPL-2.0-or-later
"""What a box keeps apart, and how it is seen from inside whether this machine does so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from reviewbot.model.errors import UsageError

Waivable = Literal["user", "sysctls", "user-namespaces", "system-calls", "terminal", "environment"]
"""Those that the site file may do without."""
Name = Literal["namespaces"] | Waivable
"""There is no box without namespaces."""
WAIVABLE: tuple[str, ...] = get_args(Waivable)


@dataclass(frozen=True, slots=True)
class Wall:
    """One of them on this machine."""

    name: Name
    holds: bool
    says: str
    package: str = ""
    """Debian package that would mend it."""


class WallMissing(UsageError):
    """This machine cannot give what boxes need, and the site file does not say that a run may do without."""

    def __init__(self, missing: tuple[Wall, ...]) -> None:
        names = ", ".join(wall.name for wall in missing)
        packages = " ".join(sorted({wall.package for wall in missing if wall.package}))
        waivable = [wall.name for wall in missing if wall.name in WAIVABLE]
        ways = [
            *([f"apt-get install {packages}"] if packages else []),
            *([f"`box: {{without: [{', '.join(waivable)}]}}` in the site file"] if waivable else []),
        ]
        super().__init__(
            f"this machine cannot sandbox untrusted code ({names}): {missing[0].says}",
            hint=", or ".join(ways) or "run `reviewbot doctor` for details",
        )
        self.missing = missing


SCRIPT = r"""
sed -n 's/^\(CapEff\|CapBnd\|NoNewPrivs\|Seccomp\):[[:space:]]*/\1=/p' /proc/self/status
echo "processes=$(ls -d /proc/[0-9]* | wc -l)"
echo "network=$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory; do
	if test -w $file || (: > $file) 2> /dev/null; then echo "writable=$file"; fi
done
if test -e /sys/kernel && ! rmdir /sys 2> /dev/null; then echo sys=there; fi
if unshare --user true 2> /dev/null; then echo nested=yes; fi
if (: < /dev/tty) 2> /dev/null; then echo terminal=yes; fi
echo "environment=$(tr '\0' ' ' < /proc/1/environ | wc -c)"
if test -e /layers && ! test -e /layers/hidden; then echo layers=overlaid; fi
echo end=yes
"""
"""Run in a box; says what it finds as `name=value` lines."""


def read(said: str) -> dict[str, str]:
    """What SCRIPT said."""
    return {name: value.strip() for name, _, value in (line.partition("=") for line in said.splitlines())}


def judge(found: Mapping[str, str], *, own_user: str, no_seccomp: str, no_box: str) -> tuple[Wall, ...]:
    """found: by SCRIPT. The others say why there is no user that owns nothing, no filter, no box; or nothing."""
    if no_box or found.get("end") != "yes":
        return (Wall("namespaces", False, no_box or "a sandbox ended prematurely"),)
    alone = found.get("network") == "lo" and int(found.get("processes", "99")) < 12
    rights = int(found.get("CapEff", "1"), 16) | int(found.get("CapBnd", "1"), 16)
    writable = found.get("writable") or ("/sys" if found.get("sys") else "")
    filtered = found.get("Seccomp") == "2"
    return (
        Wall(
            "namespaces",
            alone and not rights,
            "no network, no process of the host, no capabilities"
            if alone
            else f"the sandbox sees {found.get('network')} and {found.get('processes')} processes",
        ),
        Wall(
            "user",
            not own_user,
            own_user or "the sandbox runs as a user that owns nothing",
            "uidmap" if own_user else "",
        ),
        Wall("sysctls", not writable, f"{writable} can be written" if writable else "/proc/sys read-only, no /sys"),
        Wall(
            "user-namespaces",
            "nested" not in found,
            "user namespaces can be created in the sandbox"
            if "nested" in found
            else "user namespaces cannot be created in the sandbox",
        ),
        Wall(
            "system-calls",
            filtered,
            no_seccomp or ("seccomp filter" if filtered else "no seccomp filter"),
            "libseccomp2" if no_seccomp else "",
        ),
        Wall(
            "terminal",
            "terminal" not in found,
            "the terminal can be opened in the sandbox" if "terminal" in found else "no terminal, no keyrings",
        ),
        Wall(
            "environment",
            found.get("environment") == "0",
            "no environment variables of the host"
            if found.get("environment") == "0"
            else "environment variables of the host are visible",
        ),
    )
