# SPDX-License-Identifier: GPL-2.0-or-later
"""From what was named to the posting, over a real public-inbox server."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.inbox import installed, serve
from reviewbot.config import Network, Site, load_stack
from reviewbot.host.public import NotPublic
from reviewbot.intake import Ask, SeveralPostings, UnknownMessageId, take_in
from reviewbot.model.errors import UsageError
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event
from tests.mails import TOP, diff, mail, mbox, posting
from tests.web import web_site

STACK = load_stack()
needs_inbox = pytest.mark.skipif(not installed(), reason="public-inbox is not installed")
OTHER = mail("other@example.org", "[PATCH] kernel: something else", diff("fs/fuse/inode.c"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve([*posting(), OTHER], tmp_path_factory.mktemp("inbox")) as url:
        yield url


def taken(folder: Path, *names: str, archive: str = "http://127.0.0.1:9/all", **more: Any) -> Posting:
    ask = Ask(names=names, **more)
    site = Site(archive=archive, network=Network(private=("127.0.0.1",)))
    return take_in(ask, STACK, site, folder / "cache").posting


@needs_inbox
def test_two_names_of_one_thread_are_one(archive: str, tmp_path: Path) -> None:
    found = taken(tmp_path, f"<{TOP}>", "https://lore.kernel.org/r/libfuse.1@example.org", archive=archive)
    assert len(found.parts) == 3 and found.problems == () and found.asked == ("libfuse.1@example.org",)


@needs_inbox
def test_two_threads_are_joined(archive: str, tmp_path: Path) -> None:
    found = taken(tmp_path, "other@example.org", TOP, archive=archive)
    assert [(part.component, part.subject) for part in found.parts] == [
        ("kernel", "kernel: something else"),
        ("kernel", "kernel: change it"),
        ("libfuse", "libfuse: change it"),
        ("e2fsprogs", "e2fsprogs: change it"),
    ]
    assert found.top == "other@example.org" and found.asked == (TOP,)


@needs_inbox
def test_the_inbox_of_a_url_is_asked_when_the_archive_does_not_know(archive: str, tmp_path: Path) -> None:
    with web_site({}) as (empty, _):
        assert len(taken(tmp_path, f"{archive}/{TOP}/", archive=f"{empty}/all").parts) == 3
        with pytest.raises(UnknownMessageId):
            taken(tmp_path, TOP, archive=f"{empty}/all")


@needs_inbox
def test_an_inbox_of_a_private_network_is_asked_only_if_the_site_allows_it(archive: str, tmp_path: Path) -> None:
    with web_site({}) as (empty, _):
        ask = Ask(names=(f"{archive}/{TOP}/",))
        with pytest.raises(NotPublic, match="is not a public address"):
            take_in(ask, STACK, Site(archive=f"{empty}/all"), tmp_path / "cache")
    # Another inbox of the server that the site names is no stranger's.
    assert take_in(ask, STACK, Site(archive=archive.replace("/all", "/other")), tmp_path / "cache").posting.parts


@needs_inbox
def test_a_series_number_of_patchwork(archive: str, tmp_path: Path) -> None:
    page = {"id": 7, "cover_letter": {"msgid": "<libfuse@example.org>"}, "patches": []}
    with web_site({"/api/1.2/series/7/": json.dumps(page).encode()}) as (patchwork, asked):
        name = f"{patchwork}/project/x/list/?series=7"
        assert len(taken(tmp_path, name, archive=archive).parts) == 3
        assert [part.component for part in taken(tmp_path, name, archive=archive, part_only=True).parts] == ["libfuse"]
    assert asked == ["/api/1.2/series/7/"] * 2


@needs_inbox
def test_the_place_on_a_threads_page(archive: str, tmp_path: Path) -> None:
    anchor = hashlib.sha1(b"e2fsprogs.2@example.org").hexdigest()
    found = taken(tmp_path, f"{archive}/{TOP}/T/#m{anchor}", archive=archive, part_only=True)
    assert [part.component for part in found.parts] == ["e2fsprogs"]
    assert found.asked == ("e2fsprogs.2@example.org",)


def box(folder: Path, mails: list[bytes]) -> Path:
    path = folder / "some.mbox"
    path.write_bytes(mbox(mails))
    return path


def test_names_choose_within_a_mailbox(tmp_path: Path) -> None:
    path = box(tmp_path, [*posting(), OTHER])
    assert len(taken(tmp_path, "other@example.org", mbox=(path,)).parts) == 1
    assert len(taken(tmp_path, TOP, mbox=(path,)).parts) == 3
    assert len(taken(tmp_path, TOP, "other@example.org", mbox=(path,)).parts) == 4
    with pytest.raises(UnknownMessageId, match=r"some\.mbox"):
        taken(tmp_path, "nowhere@example.org", mbox=(path,))


def test_a_mailbox_with_two_versions_needs_a_name(tmp_path: Path) -> None:
    new = [m.replace(b"v2", b"v3").replace(b"@example.org>", b"@new.example.org>") for m in posting()]
    path = box(tmp_path, [*posting(), *(m.replace(b"dev@new.", b"dev@") for m in new)])
    with pytest.raises(SeveralPostings) as caught:
        taken(tmp_path, mbox=(path,))
    assert TOP in caught.value.hint and "top@new.example.org" in caught.value.hint
    assert {part.version for part in taken(tmp_path, "kernel@new.example.org", mbox=(path,)).parts} == {3}


def test_nothing_was_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a Message-ID nor --mbox"):
        taken(tmp_path)
    with pytest.raises(UsageError, match="--part-only: which part"):
        taken(tmp_path, mbox=(box(tmp_path, posting()),), part_only=True)


def test_progress_counts_what_is_pulled(tmp_path: Path) -> None:
    manifest = tmp_path / "posting.yaml"
    manifest.write_text("parts: [{component: kernel, git: {url: 'https://x/y.git', range: a..b}}]")
    events: list[Event] = []
    take_in(Ask(manifest=manifest), STACK, Site(), tmp_path, events.append)
    assert [(event.state, event.text) for event in events] == [("start", ""), ("done", "1 part, 0 patches, 1 pull")]
