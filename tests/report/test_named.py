# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that a reply ends with names the same posting again."""

import pytest

from reviewbot.model.posting import NEVER_SENT, Problem
from reviewbot.report import Record
from reviewbot.report.render import named
from tests.report.records import PLAN, POSTING

PICKED = Problem(kind="part-only", message="only a part")
RFC = POSTING.parts[0].model_copy(update={"rfc": True})


@pytest.mark.parametrize(
    ("change", "rfc", "words"),
    [
        ({}, True, POSTING.top),
        ({"asked": ("other@example.org",)}, False, f"{POSTING.top} other@example.org"),
        ({"asked": ("p 2@x",), "problems": (PICKED,)}, False, "--part-only 'p 2@x'"),
        ({"problems": (PICKED,)}, False, f"--part-only {POSTING.top}"),
        ({"manifest": "my posting.yaml", "top": "", "asked": ()}, False, "--manifest 'my posting.yaml'"),
        ({"top": f"0@{NEVER_SENT}", "source": "out dir"}, False, "--mbox 'out dir'"),
        (
            {"top": f"0@{NEVER_SENT}", "source": "out", "asked": (f"1@{NEVER_SENT}",), "problems": (PICKED,)},
            False,
            f"--mbox out --part-only 1@{NEVER_SENT}",
        ),
        ({"parts": (RFC,)}, True, f"--rfc {POSTING.top}"),
        ({"parts": (RFC,)}, False, POSTING.top),
    ],
)
def test_the_words(change: dict[str, object], rfc: bool, words: str) -> None:
    posting = POSTING.model_copy(update=change)
    plan = PLAN.model_copy(update={"rfc": rfc})
    assert named(Record(run="r", tool="t", posting=posting, plan=plan)) == words
