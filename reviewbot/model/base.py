# SPDX-License-Identifier: GPL-2.0-or-later
"""What all models share."""

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Model(BaseModel):
    """A frozen value; an unknown key is an error, so that a typo in a data file never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """With the docstring of each field as its description; read only here, for it takes as long as all else of a
        command's start."""
        found = handler(core_schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for base in cls.__mro__:
            for name, text in _docstrings(base).items() if issubclass(base, Model) else ():
                field = cls.model_fields.get(name)
                if field and (described := properties.get(field.alias or name)) is not None:
                    described.setdefault("description", text)
        return found


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the string that follows it in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(said.value.value)
        for field, said in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
        and isinstance(said.value.value, str)
    }
