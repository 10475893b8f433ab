# SPDX-License-Identifier: GPL-2.0-or-later
"""Web servers on loopback: any, one that gives one page, whatever is asked, and one that has some pages."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler


@contextmanager
def serving(handler: Callable[..., BaseRequestHandler]) -> Iterator[str]:
    """URL of a server on a free port, one thread per request."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def web_page(status: int, body: bytes) -> Iterator[str]:
    """URL of what claims to be an archive."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    with serving(Page) as url:
        yield f"{url}/all"


@contextmanager
def web_site(pages: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Root URL of a server that has these paths and no others, and the paths it was asked for."""
    asked: list[str] = []

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = pages.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body or b'{"detail": "Not found."}')

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    with serving(Site) as url:
        yield url, asked


@contextmanager
def folder_served(folder: Path) -> Iterator[str]:
    """URL of a plain web server that gives the files of a folder."""

    class Files(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    with serving(functools.partial(Files, directory=str(folder))) as url:
        yield url
