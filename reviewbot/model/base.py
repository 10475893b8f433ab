# SPDX-License-Identifier: GPL-2.0-or-later
"""What all models share."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value; an unknown key is an error, so that a typo in a data file never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
