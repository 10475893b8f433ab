# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of splats: what is wrong in it is said with its place; and what it costs to look for them."""

import datetime
from pathlib import Path

import pytest

from reviewbot import config
from reviewbot.config import load_splats
from reviewbot.crash.splats import MAX_BLOCKS, splat_blocks
from reviewbot.model.errors import ConfigError
from reviewbot.model.splats import CLASSES


def write(
    folder: Path, *, splats: str = "", noise: str = "noise: [{functions: [a], why: because}]", rest: str = ""
) -> Path:
    every = "".join(f"  - {{pattern: 'x{kind}', class: {kind}, why: because}}\n" for kind in CLASSES)
    (folder / "splats.yaml").write_text(f"{noise}\n{rest}\nsplats:\n{splats or every}")
    return folder / "splats.yaml"


def test_a_whole_file_loads(tmp_path: Path) -> None:
    entry = "allowed: [{pattern: x, reason: long enough, link: 'https://x', until: 2026-01-02}]"
    assert load_splats(write(tmp_path, rest=entry)).allowed[0].until == datetime.date(2026, 1, 2)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"splats": "  - {pattern: a, class: oops, why: because}\n"}, "splats: .*no pattern of class bug"),
        ({"splats": "  []\n"}, "splats: .*no pattern"),
        (
            {"splats": "  - {pattern: '(', class: oops, why: because}\n"},
            r"splats.yaml:4: splats.0.pattern: .*not a regular",
        ),
        ({"splats": "  - {pattern: 'a*', class: oops, why: because}\n"}, "splats.0.pattern: .*matches nothing"),
        ({"splats": "  - {pattern: a, class: ouch, why: because}\n"}, "splats.0.class"),
        ({"splats": "  - {pattern: a, class: oops}\n"}, "splats.0.why"),
        ({"noise": ""}, "noise"),
        ({"rest": "allowed: [{pattern: x, reason: long enough, link: 'https://x'}]"}, "allowed.0.until"),
        ({"rest": "allowed: [{pattern: x, reason: long enough, until: 2026-01-02}]"}, "allowed.0.link"),
        ({"rest": "allowed: [{pattern: x, reason: so, link: 'https://x', until: 2026-01-02}]"}, "allowed.0.reason"),
        ({"rest": "allowed: [{pattern: x, reason: long enough, link: 'https://x', until: never}]"}, "allowed.0.until"),
        ({"rest": "alowed: []"}, "alowed: unknown key"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_place(tmp_path: Path, broken: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_splats(write(tmp_path, **broken))


def test_a_missing_file_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_splats(tmp_path / "none.yaml")
    monkeypatch.setattr(config, "SPLATS", "qemu/none.yaml")
    load_splats.cache_clear()
    with pytest.raises(ConfigError, match="no such file"):
        load_splats()


def test_lines_that_only_sound_like_splats_leave_room_for_one() -> None:
    (found,) = splat_blocks("BUG: x\n" * (2 * MAX_BLOCKS) + "Oops: 0000 [#1] SMP\n")
    assert found.kind == "oops"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    ["\n", "B", "BUG: \n", " invoked oom-killer", "WARNING: a\n", " <TASK>\n foo+0x1/0x2\n", "BUG a (", "\\x0a[",
     "[    1.000000][T1] x\n", "x [    1.000000] y\n", "is trying to acquire lock:\n", " (f) from [<80>] (g+0x1/0x2)\n",
     "INFO: task a:1 blocked ", "=" * 60 + "\n", "------------[ cut here ]------------\n"],
)  # fmt: skip
def test_megabytes_of_junk_take_no_more_than_their_share(piece: str) -> None:
    """Quadratic work on this much would take many minutes."""
    assert len(splat_blocks(piece * (3_000_000 // len(piece)))) <= MAX_BLOCKS + 1
