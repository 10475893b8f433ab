# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching from a real public-inbox server, and from things that are none."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.inbox import installed, serve
from reviewbot.config import load_stack
from reviewbot.intake import ArchiveUnreachable, UnknownMessageId, fetch_thread, split
from tests.mails import TOP, posting

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
        ("kernel", 2), ("libfuse", 2), ("e2fsprogs", 2),
    ]  # fmt: skip
    assert found.problems == ()


@needs_inbox
def test_a_mail_that_the_archive_does_not_have(archive: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownMessageId, match=r"no mail <nowhere@example\.org>"):
        fetch_thread("nowhere@example.org", archive, tmp_path)


@contextmanager
def web(status: int, body: bytes) -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/all"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnreachable, match="Connection refused") as caught:
        fetch_thread("a@x", "http://127.0.0.1:9/all", tmp_path)
    assert "--mbox" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<!DOCTYPE html><html>Please log in</html>"), (500, b"oops"), (200, b"")]
)
def test_a_web_page_instead_of_mail(tmp_path: Path, status: int, body: bytes) -> None:
    with web(status, body) as url, pytest.raises(ArchiveUnreachable) as caught:
        fetch_thread("a@x", url, tmp_path)
    assert "\n" not in str(caught.value)
