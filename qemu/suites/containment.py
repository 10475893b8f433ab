# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a server that systemd started is contained as its unit demands: read from /proc, not from the unit alone."""

import glob
import os
import re
import subprocess
import time
from collections.abc import Callable

from guest import RUN, SERVER, device, read

SERVICE = f"{RUN}/service"
"""The mount helper starts servers as services when it is there."""
GROUP = "/sys/fs/cgroup/reviewbot.servers/service"
"""Control group that is the root of systemd's."""
_NAMESPACES = ("user", "mnt", "net", "pid", "uts", "ipc")
Status = dict[str, str]


def demand(wanted: bool) -> None:
    """What the mount helper does from now on."""
    if wanted:
        os.makedirs(SERVICE, exist_ok=True)
    elif os.path.isdir(SERVICE):
        os.rename(SERVICE, f"{SERVICE}.off")


def demanded() -> bool:
    """Whether this leg's server is a contained service."""
    return os.path.isdir(SERVICE)


def await_end(seconds: float) -> None:
    """Wait until no contained server is left. Raises subprocess.TimeoutExpired."""
    until = time.monotonic() + seconds
    while any(read(path) for path in glob.glob(f"{GROUP}/system.slice/**/cgroup.procs", recursive=True)):
        if time.monotonic() > until:
            raise subprocess.TimeoutExpired(SERVER, seconds)
        time.sleep(0.01)


def prove() -> tuple[dict[str, object], str]:
    """Facts about the server of the mount at MNT, and the first demand of its unit that is not met; else nothing."""
    pid = read(f"{RUN}/servers/{os.path.basename(device())}.pid").decode().strip()
    found = read(f"/proc/{pid}/status").decode(errors="replace")
    status = dict(re.findall(r"^(\w+):\s*(\S+)", found, re.MULTILINE))
    if not status:
        return {}, f"the server, pid {pid}, is gone"
    apart = [name for name in _NAMESPACES if _namespace(pid, name) != _namespace("self", name)]
    facts: dict[str, object] = {
        "service": os.path.basename(read(f"/proc/{pid}/cgroup").decode().strip()),
        "service_uid": int(status["Uid"]),
        "service_namespaces": " ".join(apart),
        "service_capabilities": status["CapBnd"].lstrip("0") or "none",
        "service_seccomp": status.get("Seccomp") == "2",
    }
    checks: dict[str, Callable[[], bool]] = {
        "DynamicUser": lambda: status["Uid"] != "0",
        "NoNewPrivileges": lambda: status.get("NoNewPrivs") == "1",
        "SystemCallFilter": lambda: status.get("Seccomp") == "2",
        "PrivateUsers": lambda: "user" in apart,
        "PrivateNetwork": lambda: "net" in apart,
        "PrivateMounts": lambda: "mnt" in apart,
    }
    unit = read(f"{SERVICE}/units/{SERVER}@.service").decode(errors="replace")
    asked = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    for name, met in checks.items():
        if asked.get(name, "no").lower() not in ("no", "false", "off", "0", "") and not met():
            return facts, f"the unit says {name}={asked[name]}, and this is not in force for the server"
    if asked.get("CapabilityBoundingSet") == "" and int(status["CapBnd"], 16):
        return facts, f"the unit allows no capabilities, and the server may have {status['CapBnd']}"
    return facts, ""


def why_not_mounted() -> str:
    """How the service ended that did not mount, as systemd says it, or another of its errors, or nothing."""
    lines = read(f"{SERVICE}/systemd.log").decode(errors="replace")
    said = re.findall(rf"^<(\d+)>systemd\[1\]: (.*{re.escape(SERVER)}.*)$", lines, re.MULTILINE)
    ends = [line for _, line in said if "Main process exited" in line]
    errors = [line for level, line in said if int(level) & 7 <= 4]
    return f"systemd: `{(ends or errors)[-1]}`" if ends or errors else ""


def _namespace(pid: str, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{name}")
    except OSError:
        return ""
