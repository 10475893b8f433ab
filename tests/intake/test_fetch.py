# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching from a real public-inbox server, and from things that are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.inbox import installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import ArchiveUnreachable, UnknownMessageId, fetch_thread, split
from tests.mails import TOP, posting
from tests.web import web_page

needs_inbox = pytest.mark.skipif(not installed(), reason="public-inbox is not installed")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(posting(), tmp_path_factory.mktemp("inbox")) as url:
        yield url


@needs_inbox
@pytest.mark.parametrize("message_id", [TOP, "libfuse.2@example.org"])
def test_a_whole_thread_from_public_inbox(archive: str, tmp_path: Path, message_id: str) -> None:
    bag = fetch_thread(message_id, archive, tmp_path)
    found = split(bag, message_id, load_stack()).posting
    assert [(part.component, len(part.patches)) for part in found.parts] == [
        ("kernel", 2),
        ("libfuse", 2),
        ("e2fsprogs", 2),
    ]
    assert found.problems == ()


@needs_inbox
def test_a_mail_that_the_archive_does_not_have(archive: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownMessageId, match=r"no mail <nowhere@example\.org>"):
        fetch_thread("nowhere@example.org", archive, tmp_path)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnreachable, match="Connection refused") as caught:
        fetch_thread("a@x", "http://127.0.0.1:9/all", tmp_path)
    assert "--mbox" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<!DOCTYPE html><html>Please log in</html>"), (500, b"oops"), (200, b"")]
)
def test_a_web_page_instead_of_mail(tmp_path: Path, status: int, body: bytes) -> None:
    with web_page(status, body) as url, pytest.raises(ArchiveUnreachable) as caught:
        fetch_thread("a@x", url, tmp_path)
    assert "\n" not in str(caught.value)
