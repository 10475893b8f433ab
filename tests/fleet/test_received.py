# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of workers that somebody else owns: what does not fit is not believed, and nothing of it leads elsewhere."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.fleet.received import NotBelieved, received
from reviewbot.host.files import remove_tree
from reviewbot.model.shard import Shard
from reviewbot.runner.shard_files import copy_logs
from tests.fleet.test_random import course, result_of

SHARD = course().shards[0]
HONEST: dict[str, Any] = json.loads(result_of(SHARD).model_dump_json())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=10), inside, max_size=4),
    max_leaves=10,
)


def changed(**update: Any) -> dict[str, Any]:
    return {**HONEST, **update}


def machine(**update: Any) -> dict[str, Any]:
    return changed(machines=[{**HONEST["machines"][0], **update}])


def reply(**update: Any) -> dict[str, Any]:
    """With its last reply changed."""
    *others, last = HONEST["machines"][0]["replies"]
    return machine(replies=[*others, {**last, **update}])


def take(tmp_path: Path, value: object, shard: Shard = SHARD) -> Any:
    path = tmp_path / "result.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return received(shard, path)


def test_an_honest_result_is_believed_without_its_paths(tmp_path: Path) -> None:
    found = take(tmp_path, reply(files="/etc"))
    assert found.tests == {step.name for step in SHARD.tests}
    assert {one.files for one in found.replies} == {""}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "is not valid"),
        (b"[" * 100_000, "is not valid"),
        (changed(surprise=1), "is not valid"),
        (changed(run="another"), "of another shard"),
        (changed(nonce="ff"), "of another shard"),
        (changed(shard="0" * 32), "of another shard"),
        (changed(worker=None), "does not name its worker"),
        (changed(worker={**HONEST["worker"], "host": "../x"}), "is not valid"),
        (changed(worker={**HONEST["worker"], "accelerator": "kvm"}), "different accelerator"),
        (changed(ran={}), "other files"),
        (changed(machines=[]), "left out"),
        (changed(machines=HONEST["machines"] * 2), "more than one result"),
        (machine(name="../../x"), "odd name"),
        (machine(hello={"kernel_release": "6.6-evil"}), "ran kernel '6.6-evil'"),
        (machine(seconds=-1.0), "impossible times"),
        (machine(replies=HONEST["machines"][0]["replies"][len(SHARD.setup) :]), "without having been set up"),
        (reply(name="fstests/generic/9999"), "not requested"),
        (reply(status="known", output="says who?"), "claims learned results"),
        (reply(seconds=float("nan")), "impossible times"),
        (reply(limit=float("inf")), "impossible times"),
        (reply(output="x" * 200_000), "too much text"),
        (reply(fingerprint="f" * 3000), "too much text"),
        (reply(server={"umount_seconds_total": float("nan")}), "impossible figure"),
        (reply(server={"cpu_seconds": "Infinity"}), "impossible figure"),
        (reply(server={"pss_kib": 10**400}), "impossible figure"),
        (reply(server={"requests": {f"{number}": 1 for number in range(2000)}}), "too much text"),
        (reply(server={"requests": {"x" * 1000: 1}}), "too much text"),
        (reply(death={"log": "x" * 200_000}), "too much text"),
        (reply(exit_status=10**300), "impossible figure"),
        (machine(hello={"cpus": "x" * 200_000}), "too much about itself"),
        (machine(seconds=1e300), "impossible times"),
        (changed(problem="lost", machines=[{**HONEST["machines"][0], "replies": []}] * 5000), "more machines"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, value: object, words: str) -> None:
    with pytest.raises(NotBelieved, match=words) as caught:
        take(tmp_path, value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


@given(JSON)
def test_any_json_is_refused_and_nothing_worse(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    with pytest.raises(NotBelieved):
        take(tmp_path_factory.getbasetemp(), value)


def test_a_result_that_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "nothing", "."):
        with pytest.raises(NotBelieved, match="cannot be read"):
            received(SHARD, tmp_path / name)


def test_a_host_of_another_kind_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    wanted = SHARD.model_copy(update={"kind": "kvm@other"})
    with pytest.raises(NotBelieved, match="ran on a host of kind tcg@unknown"):
        take(tmp_path, {**HONEST, "shard": wanted.key}, wanted)


def test_a_clock_that_is_years_away_and_notes_without_end_do_not_reach_the_report(tmp_path: Path) -> None:
    far = datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC).isoformat()
    found = take(tmp_path, machine(started=far, notes=["x" * 2000 + "\n"] * 2000))
    assert found.machines[0].started is None
    assert len(found.machines[0].notes) == 100 and all(len(note) <= 300 for note in found.machines[0].notes)


def test_of_the_logs_only_plain_files_of_its_own_tests_are_taken(tmp_path: Path) -> None:
    own, other = SHARD.tests[0].name, course().shards[1].tests[0].name
    for name in (f"{own}/output.txt", f"{other}/output.txt", "ext4-fstests/console.txt", "stray/x", "x"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("said")
    (tmp_path / "from" / own / "shadow").symlink_to("/etc/shadow")
    (tmp_path / "from" / own / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "from" / own / "pipe")
    copy_logs(SHARD, tmp_path / "from", tmp_path / "to")
    found = {str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*") if not path.is_dir()}
    assert found == {f"{own}/output.txt", f"ext4-fstests.shard{SHARD.number}/console.txt"}


def test_logs_that_cannot_be_taken_are_left_out_and_the_others_are_not(tmp_path: Path) -> None:
    own = SHARD.tests[0].name
    long = f"ext4-fstests{'x' * 240}"  # gets longer here
    for name in (f"{own}/output.txt", f"{long}/console.txt"):
        (tmp_path / "from" / name).parent.mkdir(parents=True)
        (tmp_path / "from" / name).write_text("said")
    here = os.open(tmp_path / "from" / own, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    copy_logs(SHARD, tmp_path / "from", tmp_path / "to")
    assert [path.read_text() for path in (tmp_path / "to").rglob("*") if path.is_file()] == ["said"]
    remove_tree(tmp_path / "from")  # pytest cannot


def test_logs_as_a_whole_that_are_a_link_are_not_followed(tmp_path: Path) -> None:
    own = SHARD.tests[0].name
    (tmp_path / "other" / own).mkdir(parents=True)
    (tmp_path / "other" / own / "secret").write_text("key")
    (tmp_path / "from").symlink_to(tmp_path / "other")
    copy_logs(SHARD, tmp_path / "from", tmp_path / "to")
    assert not (tmp_path / "to").exists()
