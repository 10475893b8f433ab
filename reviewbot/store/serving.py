# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects over plain HTTP, to be read by anybody who knows their hash; nothing else, and nothing can be written."""

import http.server
import os
import re
import shutil
import socket
import stat
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from reviewbot.model.errors import UsageError

DEFAULT = "127.0.0.1:8741"
_NAME = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}){0,4}/([0-9a-f]{2})/(\1[0-9a-f]{62})")
"""Of an object, below any prefix that a proxy in front may add."""
_AT_ONCE = 64
"""Connections; who comes beyond them is told to come again."""
_IDLE = 30.0
"""Seconds in which a client must read or say something."""
_CHUNK = 1 << 20


def address_of(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT`, `[::1]:PORT`. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"not an address to listen on: {text}", hint=f"HOST:PORT, as in {DEFAULT}")
    return host.strip("[]"), int(port)


class Server(http.server.ThreadingHTTPServer):
    """Gives the objects of a folder. Raises OSError when it cannot listen there."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, address: tuple[str, int], told: Callable[[str], None] = lambda line: None) -> None:
        """told: gets a line per request: who asked, what, and the status."""
        self.folder, self.told = folder, told
        self.free = threading.BoundedSemaphore(_AT_ONCE)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # the client is gone, or too slow
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "reviewbot", ""
    timeout = _IDLE

    def do_GET(self) -> None:
        if not self.server.free.acquire(blocking=False):
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, retry="5")
            return
        try:
            self._give(body=True)
        finally:
            self.server.free.release()

    def do_HEAD(self) -> None:
        self._give(body=False)

    def _give(self, *, body: bool) -> None:
        found = _NAME.fullmatch(self.path)
        try:
            if not found:
                raise FileNotFoundError
            handle = os.open(self.server.folder / found[1] / found[2], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            self._say(HTTPStatus.NOT_FOUND)
            return
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                self._say(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(status.st_size))
            self.send_header("Cache-Control", "public, max-age=31536000, immutable")
            self.end_headers()
            if body:
                shutil.copyfileobj(file, self.wfile, _CHUNK)

    def _say(self, status: HTTPStatus, retry: str = "") -> None:
        self.send_response(status)
        if retry:
            self.send_header("Retry-After", retry)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *words: object) -> None:
        line = (format % words).encode("unicode_escape").decode()
        self.server.told(f"{self.client_address[0]} {line[:300]}")
