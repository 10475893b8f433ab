# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers on loopback that take results as Patchwork and KCIDB say they do, and refuse what these refuse."""

import http.server
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kcidb_io import schema

from tests.web import serving

TOKEN = "0123canary4567"
PROJECT = "fuse-devel"


@dataclass
class Taker:
    """Answers; an enforcing double of the two REST interfaces."""

    patches: dict[str, int] = field(default_factory=dict)
    """Message-ID -> number."""
    checks: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    busy: int = 0
    """So many requests are answered with 429 first."""
    every: int = 0
    """Each so-manieth request is answered with 429; 0: none."""
    breaks: int = 0
    """So many POSTs are taken and not answered."""
    after: int = 0
    """Status of the answers to submissions that were taken; 0: 200."""
    fails: int = 0
    """Status of all answers; 0: as they should be."""
    asked: int = 0
    url: str = ""

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Status and JSON."""
        self.asked += 1
        if self.fails:
            return self.fails, {"detail": f"no, {headers.get('Authorization')}"}
        if self.busy or (self.every and self.asked % self.every == 0):
            self.busy = max(0, self.busy - 1)
            return 429, {"detail": "slow down"}
        parts = urlsplit(path)
        if parts.path == "/submit":
            return self._submit(method, headers, body)
        if headers.get("Authorization") != f"Token {TOKEN}":
            return 401, {"detail": "Invalid token."}
        return self._patchwork(method, parts.path, parse_qs(parts.query), body)

    def _submit(self, method: str, headers: Any, body: bytes) -> tuple[int, Any]:
        if headers.get("Authorization") != f"Bearer {TOKEN}" or method != "POST":
            return 401, {"status": "error", "message": "no right"}
        self.submissions.append(schema.LATEST.validate(json.loads(body)))
        return self.after or 200, {"id": "1", "status": "ok", "message": "taken"}

    def _patchwork(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        if path == "/api/1.2/patches/" and method == "GET":
            if query.get("project") != [PROJECT]:
                return 400, {"project": ["unknown"]}
            wanted = query["msgid"][0]
            return 200, [{"id": n, "msgid": f"<{one}>"} for one, n in self.patches.items() if one == wanted]
        found = re.fullmatch(r"/api/1\.2/patches/(\d+)/checks/", path)
        if not found or int(found[1]) not in self.patches.values():
            return 404, {"detail": "Not found."}
        there = self.checks.setdefault(int(found[1]), [])
        if method == "GET":
            return 200, there
        fields = json.loads(body)
        wrong = set(fields) - {"state", "target_url", "context", "description"}
        if wrong or fields.get("state") not in ("pending", "success", "warning", "fail"):
            return 400, {"state": ["not a valid choice"]}
        if not re.fullmatch(r"[-a-zA-Z0-9_]{1,255}", fields.get("context", "")):
            return 400, {"context": ["Enter a valid slug."]}
        there.append({"id": self.asked, "date": f"{self.asked:09}", "target_url": "", **fields})
        return 201, there[-1]


@contextmanager
def taking(taker: Taker) -> Iterator[Taker]:
    """`taker` on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value = taker.answer(self.command, self.path, self.headers, body)
            if taker.breaks and self.command == "POST":
                taker.breaks -= 1
                self.close_connection = True
                self.connection.close()
                return
            data = json.dumps(value).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _do

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as taker.url:
        yield taker
