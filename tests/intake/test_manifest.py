# SPDX-License-Identifier: GPL-2.0-or-later
"""Postings that are not one thread, listed in a file."""

import re
from pathlib import Path
from typing import Any

import pytest

from reviewbot.config import Site, load_stack
from reviewbot.intake import Ask, Intake, take_in
from reviewbot.intake.manifest import load_manifest
from reviewbot.model.errors import ConfigError, UsageError
from reviewbot.model.posting import Pull
from tests.conftest import ROOT
from tests.mails import TOP, diff, mail, mbox, posting

STACK = load_stack()
GIT = "https://git.example.org/x.git"


def take(folder: Path, text: str, mails: list[bytes] | None = None, **more: Any) -> Intake:
    (folder / "posting.yaml").write_text(text)
    (folder / "thread.mbox").write_bytes(mbox(posting() if mails is None else mails))
    ask = Ask(mbox=(folder / "thread.mbox",), manifest=folder / "posting.yaml", **more)
    return take_in(ask, STACK, Site(archive="http://127.0.0.1:9"), folder / "cache")


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        take(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_every_kind_of_part(tmp_path: Path) -> None:
    found = take(
        tmp_path,
        f"""\
title: ext4 in a container
author: D <d@example.org>
base: {{kernel: v7.0-rc1, libfuse: fuse-3.18}}
parts:
  - {{message_id: "<kernel@example.org>"}}
  - {{component: kernel, pull: {{url: "{GIT}", ref: tags/more_2026-02-23, base: v7.0}}}}
  - {{component: libfuse, git: {{url: "{GIT}", range: master..v1.x-iomap}}, title: iomap}}
  - {{component: e2fsprogs, tag: {{name: fuse4fs-fork_2026-04-09, base: v1.47.3}}, rfc: true}}
  - {{mbox: thread.mbox, message_id: e2fsprogs.2@example.org}}
""",
    )
    posting_ = found.posting
    assert (posting_.subject, posting_.author) == ("ext4 in a container", "D <d@example.org>")
    assert found.bases == {"kernel": "v7.0-rc1", "libfuse": "fuse-3.18"}
    assert [(part.component, part.subject, len(part.patches), part.rfc) for part in posting_.parts] == [
        ("kernel", "kernel: change it", 2, False),
        ("kernel", "tags/more_2026-02-23", 0, False),
        ("libfuse", "iomap", 0, False),
        ("e2fsprogs", "fuse4fs-fork_2026-04-09", 0, True),
        ("e2fsprogs", "e2fsprogs: change it", 2, False),
    ]
    assert [part.pull for part in posting_.parts] == [
        None,
        Pull(url=GIT, ref="tags/more_2026-02-23", base="v7.0"),
        Pull(url=GIT, ref="v1.x-iomap", base="master"),
        Pull(url=STACK.component("e2fsprogs").source.url, ref="refs/tags/fuse4fs-fork_2026-04-09", base="v1.47.3"),
        None,
    ]
    assert posting_.problems == ()
    assert {part.cover for part in posting_.parts if part.cover} <= set(found.mails)


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "naming-a-series.md").read_text(), re.DOTALL)
    (tmp_path / "posting.yaml").write_text(example)
    assert len(load_manifest(tmp_path / "posting.yaml", STACK).parts) == 5


def test_a_letter_brings_all_its_parts_and_they_must_be_complete(tmp_path: Path) -> None:
    assert len(take(tmp_path, f"parts: [{{message_id: {TOP}}}]").posting.parts) == 3
    mails = [m.replace(b"[PATCHSET v2 1/1] kernel", b"[PATCHSET v2 1/2] kernel") for m in posting()]
    assert [p.kind for p in take(tmp_path, f"parts: [{{message_id: {TOP}}}]", mails).posting.problems] == [
        "missing-part"
    ]


def test_parts_of_a_component_keep_the_order_of_the_file(tmp_path: Path) -> None:
    mails = [m.replace(b"[PATCHSET v2 1/1] lib", b"[PATCHSET v2 2/2] lib") for m in posting()]
    extra = [
        mail("l1@x", "[PATCHSET v2 1/2] libfuse: another", parent=TOP),
        mail("l1.1@x", "[PATCH 1/1] libfuse: one more", diff("lib/fuse.c"), parent="l1@x"),
    ]
    text = "parts:\n- message_id: libfuse@example.org\n- message_id: kernel@example.org\n- message_id: l1@x\n"
    found = take(tmp_path, text, mails + extra).posting
    assert [part.subject for part in found.parts] == ["kernel: change it", "libfuse: change it", "libfuse: another"]
    assert not any(problem.blocking for problem in found.problems)


def test_the_same_mails_named_twice_are_one_part(tmp_path: Path) -> None:
    text = "parts:\n- message_id: kernel@example.org\n- message_id: kernel.2@example.org\n- mbox: thread.mbox\n"
    found = take(tmp_path, text).posting
    assert [part.component for part in found.parts] == ["kernel", "libfuse", "e2fsprogs"]


def test_two_versions_of_a_part_block(tmp_path: Path) -> None:
    new = [m.replace(b"v2", b"v3").replace(b"@example.org>", b"@example.net>") for m in posting(("kernel",))]
    text = "parts:\n- message_id: kernel@example.org\n- message_id: kernel@example.net\n"
    problems = take(tmp_path, text, posting() + new).posting.problems
    assert "duplicate-part" in [problem.kind for problem in problems if problem.blocking]


def test_a_component_that_contradicts_the_paths_blocks(tmp_path: Path) -> None:
    found = take(tmp_path, "parts: [{message_id: kernel@example.org, component: libfuse}]").posting
    (problem,) = (p for p in found.problems if p.blocking)
    assert "the manifest says libfuse, but the paths say kernel" in problem.message


def test_a_component_decides_where_the_paths_do_not(tmp_path: Path) -> None:
    mails = [mail("r@x", "[PATCH] words", diff("README"), to="nobody@x")]
    found = take(tmp_path, "parts: [{message_id: r@x, component: libfuse}]", mails).posting
    assert found.parts[0].component == "libfuse" and found.problems == ()


@pytest.mark.parametrize(
    ("url", "place"),
    [("../linux", "linux"), ("{abs}/linux", "linux"), ("ssh://me@host/x.git", ""), ("git@host:x.git", ""), (GIT, "")],
)
def test_paths_are_meant_from_the_file_on(tmp_path: Path, url: str, place: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    url = url.format(abs=tmp_path)
    found = take(folder, f'parts: [{{component: kernel, git: {{url: "{url}", range: "v7.0..mine"}}}}]')
    assert found.posting.parts[0].pull == Pull(url=str(tmp_path / place) if place else url, ref="mine", base="v7.0")


def test_a_manifest_of_commits_only_has_no_mail_to_answer(tmp_path: Path) -> None:
    found = take(tmp_path, f"parts: [{{component: kernel, git: {{url: '{GIT}', range: a..b}}}}]")
    assert (found.posting.top, found.posting.subject, dict(found.mails)) == ("", "a..b", {})


ONE_OF = "a part has one of message_id, mbox, pull, git, tag"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "posting.yaml:1: parts: Field required"),
        ("parts: []", "posting.yaml:1: parts: Tuple should have at least 1 item"),
        ("parts:\n- message_id: a@b\n  componnent: kernel\n", "posting.yaml:3: parts.0.componnent: unknown key"),
        ("titel: x\nparts:\n- message_id: a@b\n", "posting.yaml:1: titel: unknown key"),
        ("parts:\n- message_id: a@b\n- component: kernel\n", f"posting.yaml:3: parts.1: {ONE_OF}; this one has none"),
        (
            "parts:\n- message_id: a@b\n  tag: {name: x}\n",
            f"posting.yaml:2: parts.0: {ONE_OF}; this one has message_id and tag",
        ),
        ("parts:\n- tag: {name: x}\n", "posting.yaml:2: parts.0: commits do not say where they belong"),
        ("parts:\n- message_id: a@b\n  component: linux\n", "posting.yaml:3: parts.0.component: no component linux"),
        ("base:\n  linux: v1\nparts:\n- message_id: a@b\n", "posting.yaml:2: base.linux: no such component"),
        ("parts:\n- message_id: fuse\n", "posting.yaml:2: parts.0.message_id: 'fuse' is not a Message-ID"),
        (
            "parts:\n- component: kernel\n  git: {url: x, range: v1...v2}\n",
            "parts.0.git.range: 'v1...v2' is not BASE..TIP",
        ),
        ("parts:\n- component: kernel\n  git: {url: x, range: v1}\n", "posting.yaml:3: parts.0.git.range"),
        ("parts:\n- component: kernel\n  git: {url: x, range: --all..b}\n", "is not BASE..TIP"),
        (
            "parts:\n- component: kernel\n  git:\n    url: -x\n    range: a..b\n",
            "posting.yaml:4: parts.0.git.url: '-x' is neither",
        ),
        ("parts:\n- component: kernel\n  pull: {url: 'ext::sh -c id', ref: a}\n", "remote helpers are not run"),
        ("parts:\n- component: kernel\n  pull: {url: x, ref: 'a:refs/heads/b'}\n", "'a:refs/heads/b' is not the name"),
        ("parts:\n- component: kernel\n  git: {url: x, range: 'a..b:c'}\n", "'a..b:c' is not BASE..TIP"),
        ("parts:\n- component: kernel\n  pull: {url: x, ref: --exec}\n", "parts.0.pull.ref: '--exec' is not the name"),
        ("parts:\n- component: kernel\n  tag: {name: ''}\n", "posting.yaml:3: parts.0.tag.name: '' is not the name"),
        ("parts:\n- message_id: [a\n", "posting.yaml:3"),
        ("- a\n", "posting.yaml:1: must be a mapping"),
        ("parts:\n- message_id: 7\n", "posting.yaml:2: parts.0.message_id: Input should be a valid string"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in wrong(tmp_path, text)


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        take_in(Ask(manifest=tmp_path / "no.yaml"), STACK, Site(), tmp_path)


@pytest.mark.parametrize("more", [{"names": (TOP,)}, {"part_only": True}])
def test_what_a_manifest_does_not_go_with(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--manifest names the whole posting"):
        take(tmp_path, f"parts: [{{message_id: {TOP}}}]", **more)
