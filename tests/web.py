# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server on loopback that gives one page, whatever is asked."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/all"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
