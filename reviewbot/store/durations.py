# SPDX-License-Identifier: GPL-2.0-or-later
"""How long things took the last time, so that progress can say how long they should take."""

import json
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked


class Durations:
    """A small JSON file: name of a thing -> seconds of its last success. A damaged file counts as empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> float | None:
        return self._read().get(name)

    def put(self, name: str, seconds: float) -> None:
        with locked(self.path.with_suffix(".lock")):
            known = self._read()
            known[name] = round(seconds, 2)
            write_atomic(self.path, json.dumps(known, indent=0, sort_keys=True))

    def _read(self) -> dict[str, float]:
        try:
            data = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in data.items() if isinstance(v, (int, float))} if isinstance(data, dict) else {}
