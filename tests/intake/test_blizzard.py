# SPDX-License-Identifier: GPL-2.0-or-later
"""The acceptance posting: 203 mails, 23 parts, three repositories."""

import json
import random
from pathlib import Path

from reviewbot.cli.plan_json import plan_json
from reviewbot.config import load_stack
from reviewbot.intake import Mailbag, mbox_bytes, read_mbox, split
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting

KEYS = ("component", "counter", "rfc", "subject", "cover", "patches")


def as_json(posting: Posting) -> list[dict[str, object]]:
    plan = Plan(posting=posting, rfc=True, sources=(), legs=(), suites=(), tests="")
    parts: list[dict[str, object]] = plan_json(plan)["parts"]
    return parts


def expected(folder: Path) -> list[dict[str, object]]:
    series = json.loads((folder / "expected.json").read_bytes())["series"]
    return [{key: part[key] for key in KEYS} for part in series]


def test_parts_order_flags_and_components_are_exact(blizzard: Path) -> None:
    found = split(read_mbox(blizzard / "thread.mbox"), None, load_stack())
    assert as_json(found.posting) == expected(blizzard)
    assert found.posting.top == json.loads((blizzard / "expected.json").read_bytes())["top"]


def test_the_order_of_arrival_does_not_matter(blizzard: Path) -> None:
    bag = read_mbox(blizzard / "thread.mbox")
    mails = list(bag.mails)
    random.Random(7).shuffle(mails)
    assert as_json(split(Mailbag("shuffled", tuple(mails)), None, load_stack()).posting) == expected(blizzard)


def test_any_mail_of_the_thread_names_it(blizzard: Path) -> None:
    bag = read_mbox(blizzard / "thread.mbox")
    patch = str(expected(blizzard)[3]["cover"])
    for message_id in ("reviewer-ack.v7@example.org", patch):
        assert as_json(split(bag, message_id, load_stack()).posting) == expected(blizzard)


def test_replies_with_diffs_are_no_patches_and_the_stray_is_named(blizzard: Path) -> None:
    extra = json.loads((blizzard / "expected.json").read_bytes())["extra_messages"]
    posting = split(read_mbox(blizzard / "thread.mbox"), None, load_stack()).posting
    taken = {patch.message_id for part in posting.parts for patch in part.patches}
    assert not taken & set(extra)
    assert [(problem.kind, problem.message_ids, problem.blocking) for problem in posting.problems] == [
        ("stray-patch", ("stray.v7@example.org",), False)
    ]


def test_the_mails_of_a_run_read_back_the_same(blizzard: Path, tmp_path: Path) -> None:
    found = split(read_mbox(blizzard / "thread.mbox"), None, load_stack())
    (tmp_path / "mails.mbox").write_bytes(mbox_bytes(found.mails))
    again = split(read_mbox(tmp_path / "mails.mbox"), None, load_stack())
    assert again.posting.parts == found.posting.parts
    assert dict(again.mails) == dict(found.mails)
