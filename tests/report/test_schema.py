# SPDX-License-Identifier: GPL-2.0-or-later
"""The shapes that are promised are the ones that are written."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from reviewbot.model.base import Model
from reviewbot.model.deep import Deep
from reviewbot.model.results import Results
from reviewbot.model.verdict import Verdict
from reviewbot.report import files, schemas
from reviewbot.report.record import PUBLISHED
from tests.report.records import RECORDS

VERSIONS = {"comparison": 4, "coverage": 1, "deep": 4, "results": 7, "review": 2, "verdict": 6}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "schema"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_documented_schema_is_that_of_the_code(name: str) -> None:
    assert (DOCS / f"{name}.json").read_text() == json.dumps(schemas()[name], indent=1) + "\n"


def test_every_schema_is_documented_and_sound() -> None:
    assert {path.stem for path in DOCS.glob("*.json")} == set(PUBLISHED) == set(schemas())
    for name, schema in schemas().items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"urn:reviewbot:{name}:{VERSIONS[name]}"


@functools.cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The schema was checked above, and takes longer to be made than to be used."""
    return jsonschema.Draft202012Validator(schemas()[name])


def published(record: str) -> dict[str, Any]:
    deep = Deep(variant="kasan,lockdep", problem="no room")
    found = files(RECORDS[record]().model_copy(update={"deep": (deep,)}), {})
    return {
        name: json.loads(model.model_dump_json())
        for name in PUBLISHED
        if isinstance(model := found.get(f"{name}.json"), Model)
    }


@pytest.mark.parametrize("record", RECORDS)
def test_what_is_written_fits_the_schema(record: str) -> None:
    found = published(record)
    assert "verdict" in found
    for name, value in found.items():
        validator(name).validate(value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_unknown_key_is_refused_by_schema_and_code(name: str) -> None:
    record = {"review": "review-errors", "coverage": "counted", "comparison": "regression"}.get(name, "fail")
    value = published(record)[name] | {"surprise": 1}
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        validator(name).validate(value)
    with pytest.raises(ValidationError, match="surprise"):
        PUBLISHED[name].model_validate_json(json.dumps(value))


def test_an_unknown_key_deep_inside_is_refused_too() -> None:
    value = published("fail")["results"]
    value["legs"][0]["tests"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        validator("results").validate(value)


def test_a_wrong_outcome_or_kind_is_refused() -> None:
    found = published("fail")
    found["results"]["legs"][0]["tests"][0]["outcome"] = "GREEN"
    found["verdict"]["kind"] = "GREEN"
    del found["deep"]
    for name, value in found.items():
        with pytest.raises(jsonschema.ValidationError, match="GREEN"):
            validator(name).validate(value)


def test_what_is_written_is_read_back_as_it_was() -> None:
    record = RECORDS["fail"]()
    assert record.results is not None and record.verdict is not None
    assert Results.model_validate_json(record.results.model_dump_json()) == record.results
    assert Verdict.model_validate_json(record.verdict.model_dump_json()) == record.verdict
