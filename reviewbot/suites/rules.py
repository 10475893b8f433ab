# SPDX-License-Identifier: GPL-2.0-or-later
"""What outcomes depend on besides the machine's answers."""

import datetime
import functools
import hashlib
from pathlib import Path

from reviewbot.config import load_yaml
from reviewbot.host.data import data_path
from reviewbot.model.splats import SplatRules


@functools.cache
def rules_digest() -> str:
    """Hex digest of all that judges: this package's code, excludes and shortcomings; the splat patterns, the code that
    reads them, and which allowed splats have expired.

    Kept results were judged by these; with other rules they may mean something else. Raises ConfigError.
    """
    digest = hashlib.sha256()
    here = Path(__file__).parent
    splats, readers = data_path("qemu/splats.yaml"), here.parent / "lab"
    for path in (
        *sorted((*here.glob("*.py"), *here.glob("*.yaml"))), splats, readers / "splats.py", readers / "traces.py",
    ):  # fmt: skip
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    today = datetime.date.today()
    expired = [entry.pattern for entry in load_yaml(splats, SplatRules).allowed if entry.expired(today)]
    digest.update(repr(expired).encode())
    return digest.hexdigest()
