# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from reviewbot.store import NotRuns
from reviewbot.store.notruns import Known, NotRun

DAY = datetime.date(2026, 11, 25)
ENTRY = NotRun(reason="no “fsverity”", digest="ab12", learned=DAY, last=DAY, run="r", seen=2, uses=3)


def test_what_is_put_in_comes_back(tmp_path: Path) -> None:
    store, known = NotRuns(tmp_path / "notruns.json"), {"ext4": {"generic/001": (ENTRY, replace(ENTRY, digest="cd"))}}
    assert store.known() == {}
    store.update(lambda before: known)
    assert store.known() == known


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"ext4": []}', '{"ext4": {"a": 3}}', "[" * 100000])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "notruns.json").write_text(content)
    assert NotRuns(tmp_path / "notruns.json").known() == {}


def test_a_damaged_entry_is_left_out_alone(tmp_path: Path) -> None:
    store = NotRuns(tmp_path / "notruns.json")
    store.update(lambda before: {"ext4": {"generic/001": (ENTRY,)}})
    plain = json.loads(store.path.read_bytes())
    plain["ext4"]["generic/001"] += [{"reason": "x"}, None, {**plain["ext4"]["generic/001"][0], "last": "yesterday"}]
    store.path.write_text(json.dumps(plain))
    assert store.known() == {"ext4": {"generic/001": (ENTRY,)}}


def test_two_that_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    store = NotRuns(tmp_path / "notruns.json")

    def add(number: int) -> None:
        def change(before: Known) -> Known:
            return {**before, f"leg{number}": {"generic/001": (ENTRY,)}}

        store.update(change)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.known()) == 8
