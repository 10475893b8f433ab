# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of Patchwork, asked of a server that answers as its REST schema (1.2) says."""

import json
from collections.abc import Iterator, Mapping

import pytest

from reviewbot.host.public import NotPublic, Reach
from reviewbot.intake import PatchworkItem, PatchworkUnreachable, UnknownPatchworkItem, parse_name
from reviewbot.intake.names import PatchworkKind
from reviewbot.intake.patchwork import message_id_of
from reviewbot.model.errors import ReviewbotError
from tests.web import web_page, web_site

LOCAL = Reach(("127.0.0.1",))


def mail(number: int, kind: str = "patches") -> dict[str, object]:
    """What the lists inside a series say of a mail."""
    return {
        "id": number, "url": f"https://pw/api/1.2/{kind}/{number}/", "web_url": f"https://pw/{number}/",
        "msgid": f"<{number}.stgit@frogsfrogsfrogs>", "list_archive_url": None, "date": "2026-02-23T23:00:35",
        "name": "[v7,4/9] fuse: x", "mbox": f"https://pw/{number}/mbox/",
    }  # fmt: skip


def series(number: int, *, cover: int | None, patches: tuple[int, ...]) -> dict[str, object]:
    return {
        "id": number,
        "url": f"https://pw/api/1.2/series/{number}/",
        "project": {"id": 1},
        "name": "x",
        "version": 7,
        "total": len(patches),
        "received_total": len(patches),
        "received_all": True,
        "cover_letter": None if cover is None else mail(cover, "covers"),
        "patches": [mail(n) for n in patches],
    }


PAGES: Mapping[str, object] = {
    "/api/1.2/patches/12345/": {
        **mail(12345),
        "project": {"id": 1},
        "commit_ref": None,
        "pull_url": None,
        "state": "new",
        "archived": False,
        "series": [],
        "content": "",
        "diff": "",
    },
    "/api/1.2/covers/77/": {**mail(77, "covers"), "content": "x", "series": []},
    "/api/1.2/series/98765/": series(98765, cover=77, patches=(12345,)),
    "/api/1.2/series/5/": series(5, cover=None, patches=(12346, 12347)),
    "/api/1.2/series/6/": series(6, cover=None, patches=()),
    "/pw/api/1.2/patches/1/": mail(1),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with web_site({path: json.dumps(page).encode() for path, page in PAGES.items()}) as (url, _):
        yield url


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/patch/12345/", 12345), ("/cover/77/mbox/", 77), ("/patch/77/", 77), ("/api/1.2/covers/77/", 77),
        ("/project/x/list/?series=98765", 77), ("/series/98765/mbox/", 77), ("/series/5/", 12346), ("/pw/patch/1/", 1),
    ],
)  # fmt: skip
def test_a_number_leads_to_a_mail(server: str, path: str, number: int) -> None:
    name = parse_name(server + path)
    assert isinstance(name, PatchworkItem)
    assert message_id_of(name, LOCAL) == f"{number}.stgit@frogsfrogsfrogs"


@pytest.mark.parametrize("kind", ["patches", "covers", "series"])
def test_a_number_that_patchwork_does_not_know(server: str, kind: PatchworkKind) -> None:
    with pytest.raises(UnknownPatchworkItem, match=f"has no {kind}/404"):
        message_id_of(PatchworkItem(server, kind, 404), LOCAL)


def test_a_series_without_any_mail(server: str) -> None:
    with pytest.raises(PatchworkUnreachable, match="series/6 names no mail"):
        message_id_of(PatchworkItem(server, "series", 6), LOCAL)


def test_a_server_of_a_private_network_is_not_asked(server: str) -> None:
    with pytest.raises(NotPublic, match="is not a public address") as caught:
        message_id_of(PatchworkItem(server, "series", 5), Reach())
    assert "network: {private:" in caught.value.hint


def test_nobody_listens() -> None:
    with pytest.raises(PatchworkUnreachable, match="Connection refused") as caught:
        message_id_of(PatchworkItem("http://127.0.0.1:9", "series", 1), LOCAL)
    assert "Message-ID" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><title>Making sure you're not a bot</title>"), (200, b""), (200, b"[1]"), (200, b"{}"),
        (500, b"oops"), (403, b"no"), (200, b'{"msgid": 7}'), (200, b'{"msgid": "<none>"}'), (200, b"\xff\xfe\x00"),
    ],
)  # fmt: skip
def test_something_else_than_patchwork_answers(status: int, body: bytes) -> None:
    with web_page(status, body) as url, pytest.raises(ReviewbotError) as caught:
        message_id_of(PatchworkItem(url, "patches", 1), LOCAL)
    assert isinstance(caught.value, PatchworkUnreachable)
    assert "\n" not in str(caught.value)
