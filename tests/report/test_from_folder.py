# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports are made again from a run's folder, at any time, byte for byte."""

from pathlib import Path

import pytest

from reviewbot import intake
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError
from reviewbot.model.lock import Lock
from reviewbot.report import Record, files, load
from reviewbot.store import RunFolder
from tests.report.records import PARENT, RECORDS, RUN, TOP, passing


def left(path: Path, record: Record) -> dict[str, bytes]:
    """A run's folder as the pipeline leaves it; returns its reports."""
    folder = RunFolder(RUN, path)
    path.mkdir()
    assert record.plan
    mails = {TOP: PARENT}
    folder.write("mails.mbox", intake.mbox_bytes(mails))
    folder.write("plan.json", record.plan)
    if record.trees:
        folder.write("trees.json", record.trees)
    if record.artifacts and record.trees:
        folder.write(
            "lock.json",
            Lock(
                run=RUN,
                tool=record.tool,
                stack="fuse",
                top=TOP,
                mails_sha256="",
                trees=record.trees,
                artifacts=record.artifacts,
            ),
        )
    for name, content in files(record, mails).items():
        folder.write(name, content)
    return {name: (path / name).read_bytes() for name in files(record, mails)}


@pytest.mark.parametrize("name", RECORDS)
def test_every_report_is_the_same_again(tmp_path: Path, name: str) -> None:
    written = left(tmp_path / RUN, RECORDS[name]().model_copy(update={"url": "https://ci.example.org/x"}))
    again = files(load(tmp_path / RUN), intake.read_mbox(tmp_path / RUN / "mails.mbox").by_id())
    assert list(again) == list(written)
    for file, content in again.items():
        text = content.model_dump_json(indent=1) + "\n" if isinstance(content, Model) else content
        assert (text.encode() if isinstance(text, str) else text) == written[file], file


@pytest.mark.parametrize("file", ["plan.json", "verdict.json"])
def test_a_run_without_plan_or_verdict_has_no_record(tmp_path: Path, file: str) -> None:
    left(tmp_path / RUN, passing())
    (tmp_path / RUN / file).unlink()
    with pytest.raises(UsageError, match="has no verdict"):
        load(tmp_path / RUN)


@pytest.mark.parametrize("file", ["plan.json", "verdict.json", "results.json", "trees.json", "report.json"])
def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path, file: str) -> None:
    left(tmp_path / RUN, passing())
    (tmp_path / RUN / file).write_text('{"run": 1')
    with pytest.raises(UsageError, match="cannot be read") as caught:
        load(tmp_path / RUN)
    assert len(str(caught.value).splitlines()) == 1
