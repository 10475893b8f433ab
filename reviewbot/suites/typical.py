# SPDX-License-Identifier: GPL-2.0-or-later
"""How long tests of fstests take where nobody has measured them yet: `durations.yaml`."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.store import Durations

TYPICAL = Path(__file__).with_name("durations.yaml")


class _Typical(Model):
    fstests: dict[str, Annotated[float, Field(gt=0)]]


def durations_in(cache: Path) -> Durations:
    """What took how long on this host, and how long tests usually take. Raises ConfigError."""
    return Durations(cache / "durations.json", load_typical())


@functools.cache
def load_typical(path: Path = TYPICAL) -> Mapping[str, float]:
    """`fstests/generic/001` -> seconds on a machine of slow factor 1. Raises ConfigError."""
    return {f"fstests/{test}": seconds for test, seconds in load_yaml(path, _Typical).fstests.items()}
