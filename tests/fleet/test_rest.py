# SPDX-License-Identifier: GPL-2.0-or-later
"""An API that does not answer, or half of it, is asked again: it never ends what is under way."""

import http.server
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewbot.fleet.engine import EngineBusy
from reviewbot.fleet.rest import Rest
from reviewbot.model.errors import InfraError
from tests.web import serving

ASKED: list[Callable[[Rest, Path], object]] = [
    lambda rest, folder: rest.get("/x"),
    lambda rest, folder: rest.text("/x"),
    lambda rest, folder: rest.file("/x", folder / "file", 1 << 20),
]


def answers(status: int, body: bytes, **headers: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path, ask: Callable[..., object], status: int) -> None:
    with serving(answers(status, b"{", Content_Length="1000")) as url, pytest.raises(EngineBusy):
        ask(Rest(url), tmp_path)


@pytest.mark.parametrize("ask", ASKED)
def test_an_answer_that_cannot_be_unpacked_is_asked_for_again(tmp_path: Path, ask: Callable[..., object]) -> None:
    with serving(answers(200, b"no gzip", Content_Encoding="gzip")) as url, pytest.raises(EngineBusy):
        ask(Rest(url), tmp_path)


@pytest.mark.parametrize("headers", [{"X_RateLimit_Remaining": "0"}, {"Retry_After": "60"}])
def test_an_api_that_was_asked_too_often_is_busy(headers: dict[str, str]) -> None:
    with serving(answers(403, b"{}", **headers)) as url, pytest.raises(EngineBusy):
        Rest(url).get("/x")


def test_what_is_forbidden_is_not_asked_again() -> None:
    with serving(answers(403, b'{"message": "Resource not accessible"}', X_RateLimit_Remaining="99")) as url:
        with pytest.raises(InfraError, match="status 403") as caught:
            Rest(url).get("/x")
        assert not isinstance(caught.value, EngineBusy)
