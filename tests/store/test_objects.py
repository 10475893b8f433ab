# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects travel by the hash of their content: what a store gives is checked, kept once, and kept within a limit."""

import errno
import hashlib
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reviewbot.host.files import sha256_file
from reviewbot.host.locks import locked
from reviewbot.model.errors import UsageError
from reviewbot.store.objects import ObjectMissing, Objects
from reviewbot.store.serving import Server, address_of
from tests.web import web_page

CONTENT = b"kernel" * 1000 + bytes(3 << 20) + b"end"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def there(tmp_path: Path) -> Objects:
    """A store with one object."""
    found = Objects(tmp_path / "there")
    assert found.put_bytes(CONTENT) == DIGEST
    return found


@pytest.fixture
def here(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "here")


@pytest.fixture
def server(there: Objects) -> Iterator[Server]:
    lines: list[str] = []
    with Server(there.root, ("127.0.0.1", 0), lines.append) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    with_body = answer.status, answer.read()
    connection.close()
    return with_body


def name(digest: str = DIGEST) -> str:
    return f"/{digest[:2]}/{digest}"


def test_an_object_is_fetched_once_and_is_as_sparse_as_it_was(here: Objects, server: Server) -> None:
    first = here.get(DIGEST, [server.url])
    server.shutdown()
    assert here.get(DIGEST, [server.url]) == first and first.read_bytes() == CONTENT
    assert first.stat().st_blocks * 512 < len(CONTENT)


def test_a_folder_is_a_store_too(here: Objects, there: Objects) -> None:
    assert here.get(DIGEST, [str(there.root)]).read_bytes() == CONTENT


def test_a_store_that_lies_is_not_believed_and_the_next_one_is_asked(here: Objects, server: Server) -> None:
    with web_page(200, b"something else") as liar:
        with pytest.raises(ObjectMissing, match="returned other content"):
            here.get(DIGEST, [liar])
        assert not here.path(DIGEST).exists() and not list(here.root.glob("??/.*"))
        assert here.get(DIGEST, [liar, server.url]).read_bytes() == CONTENT


def test_an_object_that_nobody_has_is_named(here: Objects, server: Server) -> None:
    with pytest.raises(ObjectMissing, match=r"object 000000000000 is unavailable: http.*: status 404") as caught:
        here.get("0" * 64, [server.url])
    assert "reviewbot store serve" in caught.value.hint


def test_a_store_that_is_busy_is_asked_again_at_random_times(
    here: Objects, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            server.free.release()

    for _ in range(64):
        server.free.acquire()
    monkeypatch.setattr("reviewbot.store.objects.time.sleep", sleep)
    assert here.get(DIGEST, [server.url]).read_bytes() == CONTENT
    assert len(pauses) == 3 and len(set(pauses)) == 3
    for _ in range(63):
        server.free.release()


def test_a_full_disk_is_not_the_fault_of_the_store(
    here: Objects, there: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("reviewbot.store.objects.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        here.get(DIGEST, [str(there.root)])
    assert not list(here.root.glob("??/*")) and not list(here.root.glob("??/.*"))


def test_what_is_taken_just_now_is_not_removed_under_its_taker(here: Objects, there: Objects) -> None:
    path = here.path(here.put_bytes(CONTENT))
    os.utime(path, (1000, 1000))
    with locked(here.root / "locks" / f"{DIGEST}.lock"):
        Objects(here.root, limit=1).trim()
    assert path.exists()
    Objects(here.root, limit=1).trim()
    assert not path.exists()


def test_what_was_changed_here_is_fetched_again(here: Objects, server: Server) -> None:
    kept = here.get(DIGEST, [server.url])
    kept.write_bytes(b"poison")
    assert here.get(DIGEST, [server.url]).read_bytes() == CONTENT


def test_what_is_taken_again_is_read_once_a_day_and_after_a_change(
    here: Objects, there: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def noticed(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr("reviewbot.store.objects.sha256_file", noticed)
    for _ in range(3):
        here.get(DIGEST, [str(there.root)])
    assert read == [], "it was checked as it was fetched"
    day = time.time() + 25 * 3600
    monkeypatch.setattr("reviewbot.store.objects.time.time", lambda: day)
    for _ in range(3):
        here.get(DIGEST, [str(there.root)])
    assert read == [here.path(DIGEST)]


def test_what_was_not_used_for_longest_goes_when_there_is_too_much(here: Objects) -> None:
    for number in range(5):
        path = here.path(here.put_bytes(bytes([number]) * 10_000))
        os.utime(path, (1000 + number, 1000 + number))
    Objects(here.root, limit=30_000).trim()
    assert sorted(path.read_bytes()[0] for path in here) == [3, 4]


def test_what_was_just_used_stays_whatever_the_limit_says(here: Objects, there: Objects) -> None:
    small = Objects(here.root, limit=1)
    assert small.get(DIGEST, [str(there.root)]).exists()


def test_two_that_want_the_same_at_once_fetch_it_once(here: Objects, server: Server, tmp_path: Path) -> None:
    asked: list[str] = []
    server.told = asked.append
    threads = [threading.Thread(target=here.get, args=(DIGEST, [server.url])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1 and here.path(DIGEST).read_bytes() == CONTENT


def test_publishing_an_image_of_the_same_disk_takes_no_room(there: Objects, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"image")
    put = there.put(image, hashlib.sha256(b"image").hexdigest())
    assert put.stat().st_ino == image.stat().st_ino


def test_what_is_published_again_is_as_good_as_new_for_whoever_removes_what_is_old(
    there: Objects, tmp_path: Path
) -> None:
    os.utime(there.path(DIGEST), (1000, 1000))
    there.put_bytes(CONTENT)
    assert there.path(DIGEST).stat().st_mtime > 1000
    image = tmp_path / "image"
    image.write_bytes(b"image")
    put = there.put(image, hashlib.sha256(b"image").hexdigest())
    os.utime(image, (1000, 1000))
    there.put(image, put.name)
    assert image.stat().st_mtime == 1000, "another name of a file that somebody else keeps"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/..", "/../../../etc/passwd", f"/{DIGEST[:2]}", f"/{DIGEST[:2]}/", f"/00/{DIGEST}", f"{name()}/x",
        f"/a/../{DIGEST[:2]}/{DIGEST}", "/%2e%2e/etc/passwd", name("0" * 64), "//", f"/{DIGEST[:2]}/{DIGEST.upper()}",
        f"/{DIGEST[:2]}/link",
    ],
)  # fmt: skip
def test_a_server_gives_nothing_but_objects(server: Server, there: Objects, path: str) -> None:
    (there.path(DIGEST).parent / "link").symlink_to("/etc/passwd")
    assert ask(server, path) == (404, b"")


def test_a_link_with_the_name_of_an_object_is_none(server: Server, there: Objects) -> None:
    fake = "f" * 64
    there.path(fake).parent.mkdir()
    there.path(fake).symlink_to("/etc/passwd")
    assert ask(server, name(fake)) == (404, b"")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "PROPFIND"])
def test_a_server_takes_nothing(server: Server, there: Objects, method: str) -> None:
    status, _ = ask(server, name(), method)
    assert status == 501 and there.path(DIGEST).read_bytes() == CONTENT


def test_a_server_says_how_long_an_object_is_below_any_prefix(server: Server) -> None:
    assert ask(server, f"/reviewbot/store{name()}", "HEAD") == (200, b"")
    assert ask(server, f"/reviewbot/store{name()}")[1] == CONTENT


def test_an_odd_request_is_one_plain_line_of_the_log(server: Server) -> None:
    lines: list[str] = []
    server.told = lines.append
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"GET /\x1b[2J\xff HTTP/1.0\r\n\r\n")
        while connection.recv(1000):
            continue
    assert lines and all(line.isascii() and line.isprintable() for line in lines)


def test_a_client_that_is_gone_is_no_traceback(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (b"GE", f"HEAD {name()} HTTP/1.0\r\n\r\n".encode(), f"GET {name()} HTTP/1.0\r\n\r\n".encode()):
        connection = socket.create_connection(("127.0.0.1", server.server_port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close resets
        connection.sendall(words)
        connection.close()
        assert ask(server, name())[0] == 200
    server.shutdown()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "8741", "host", "host:port", "host:99999", "host:²"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        address_of(text)


def test_addresses_of_both_families_are_read() -> None:
    assert [address_of(text) for text in ("127.0.0.1:80", ":80", "[::1]:80")] == [
        ("127.0.0.1", 80),
        ("", 80),
        ("::1", 80),
    ]
