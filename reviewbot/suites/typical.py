# SPDX-License-Identifier: GPL-2.0-or-later
"""How long tests of fstests take where nobody has measured them yet: `durations.yaml`."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model

TYPICAL = Path(__file__).with_name("durations.yaml")


class _Typical(Model):
    fstests: dict[str, Annotated[float, Field(gt=0)]]


@functools.cache
def load_typical(path: Path = TYPICAL) -> Mapping[str, float]:
    """`fstests/generic/001` -> seconds on a machine of slow factor 1. Raises ConfigError."""
    return {f"fstests/{test}": seconds for test, seconds in load_yaml(path, _Typical).fstests.items()}
