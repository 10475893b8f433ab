# SPDX-License-Identifier: GPL-2.0-or-later
"""What outcomes depend on besides the machine's answers."""

import datetime
import functools
import hashlib
from pathlib import Path

from reviewbot.config import SERVERS, SPLATS, load_splats
from reviewbot.host.data import data_path


@functools.cache
def rules_digest() -> str:
    """Hex digest of all that judges: this package's code, excludes and shortcomings; the patterns of splats and of
    servers' words, the code that reads them, and which allowed splats have expired.

    Kept results were judged by these; with other rules they may mean something else. Raises ConfigError.
    """
    rules = load_splats()
    digest = hashlib.sha256()
    here = Path(__file__).parent
    crash, lab = here.parent / "crash", here.parent / "lab"
    data = (data_path(SPLATS), data_path(SERVERS), data_path("qemu/suites/fstests/telling"))
    judges = (
        *sorted((*here.glob("*.py"), *here.glob("*.yaml"), *crash.glob("*.py"))),
        *data,
        lab / "console.py",
        lab / "servers.py",
    )
    for path in judges:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    today = datetime.date.today()
    expired = [entry.pattern for entry in rules.allowed if entry.expired(today)]
    digest.update(repr(expired).encode())
    return digest.hexdigest()
