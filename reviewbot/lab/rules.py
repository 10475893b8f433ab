# SPDX-License-Identifier: GPL-2.0-or-later
"""`qemu/splats.yaml`, loaded once. Without it there is no judgement, so there is no run either."""

import functools
from pathlib import Path

from reviewbot.config import load_yaml
from reviewbot.host.data import data_path
from reviewbot.model.errors import ConfigError
from reviewbot.model.splats import SplatRules

SPLATS = "qemu/splats.yaml"


@functools.cache
def load_rules(path: Path | None = None) -> SplatRules:
    """The shipped file, or another. Raises ConfigError that names file, line and key."""
    try:
        found = path or data_path(SPLATS)
    except FileNotFoundError as error:
        raise ConfigError(SPLATS, 0, "", "no such file", hint="the installation is not complete") from error
    return load_yaml(found, SplatRules)
