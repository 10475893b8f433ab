# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel messages of level warning and above that head brings and base does not. Pure."""

import functools
import re
from pathlib import Path

from pydantic import Field, field_validator

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.comparison import NewMessage
from reviewbot.model.results import LegResult

_VARIES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")


class Ignored(Model):
    """Messages that come and go by themselves."""

    says: str
    """Regular expression."""
    why: str = Field(min_length=10)

    @field_validator("says")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class Rules(Model):
    """`messages.yaml`."""

    alarm: int = Field(ge=0, le=4)
    """Levels up to this one count against a series."""
    ignore: tuple[Ignored, ...] = ()


@functools.cache
def load_rules(path: Path | None = None) -> Rules:
    """Raises ConfigError."""
    return load_yaml(path or Path(__file__).with_name("messages.yaml"), Rules)


def new_messages(base: LegResult, head: LegResult, suite: str) -> tuple[NewMessage, ...]:
    """Of the tests of a suite that did not fail on head; each message once, with the first test that brought it."""
    rules = load_rules()
    old = {_kind(line.text) for test in base.tests if test.suite == suite for line in test.loud}
    found: dict[str, NewMessage] = {}
    for test in head.tests:
        if test.suite != suite or test.outcome.broken:
            continue
        for line in test.loud:
            kind = _kind(line.text)
            if kind in old or kind in found or any(re.search(one.says, line.text) for one in rules.ignore):
                continue
            found[kind] = NewMessage(
                leg=head.leg,
                suite=suite,
                test=test.test,
                level=line.level,
                text=line.text,
                alarm=line.level <= rules.alarm,
                log=test.log,
            )
    return tuple(found.values())


def confirmed(first: tuple[NewMessage, ...], again: tuple[NewMessage, ...]) -> tuple[NewMessage, ...]:
    """Those that a second run per side shows, too."""
    kinds = {_kind(message.text) for message in again}
    return tuple(message for message in first if _kind(message.text) in kinds)


def says(result: LegResult, message: NewMessage) -> bool:
    """Whether a leg's suite brought the message, numbers and addresses aside."""
    kind = _kind(message.text)
    tests = (test for test in result.tests if test.suite == message.suite)
    return any(_kind(line.text) == kind for test in tests for line in test.loud)


def _kind(text: str) -> str:
    return _VARIES.sub("N", text)
