# SPDX-License-Identifier: GPL-2.0-or-later
"""What outcomes depend on besides the machine's answers."""

import functools
import hashlib
from pathlib import Path

from reviewbot.host.data import data_path


@functools.cache
def rules_digest() -> str:
    """Hex digest of all that judges: this package's code, excludes and shortcomings, and the splat patterns.

    Kept results were judged by these; with other rules they may mean something else.
    """
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (*sorted((*here.glob("*.py"), *here.glob("*.yaml"))), data_path("qemu/splats.yaml")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
