# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of ours that may come from elsewhere, or from another version of ours."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError

M = TypeVar("M", bound=Model)


def read_if_whole(path: Path, model: type[M]) -> M | None:
    """None: it is not there, damaged, or of another version of ours."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def read_model(path: Path, model: type[M], what: str, hint: str = "") -> M:
    """what: said of a file that is not one, `no shard`. Raises UsageError."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: {what}: {place + ': ' if place else ''}{first['msg']}", hint=hint) from error
