# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests to an engine's API: JSON in, JSON or a file out, bounded, and the token goes to that host only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewbot import __version__
from reviewbot.fleet.engine import EngineBusy
from reviewbot.model.errors import InfraError
from reviewbot.model.words import one_line

if TYPE_CHECKING:
    import requests

_TIMEOUT = (10.0, 60.0)
_MOST = 64 << 20
"""Bytes of an answer."""
_BUSY = (408, 409, 425, 429)
_CHUNK = 1 << 20


class NotThere(InfraError):
    """The API knows no such thing, or not any more."""


class Rest:
    """One API. token: of the header `Authorization`, without its first word; empty: none."""

    def __init__(
        self,
        url: str,
        token: str = "",
        verify: str = "",
        headers: Mapping[str, str] | None = None,
        token_file: str = "",
    ) -> None:
        """verify: file of the authorities that the server's certificate is checked against; empty: the system's.

        token_file: is read for each request, since such tokens are renewed.
        """
        import requests  # 50 ms that only such engines cost

        self.url, self._token, self._token_file = url.rstrip("/"), token, token_file
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": f"reviewbot/{__version__}", **(headers or {})})
        if verify:
            self._session.verify = verify

    def get(self, path: str, **query: str | int) -> Any:
        """Raises EngineBusy, NotThere, InfraError."""
        return self._json("GET", path, params={name: str(value) for name, value in query.items()})

    def post(self, path: str, value: object) -> Any:
        """Raises EngineBusy, NotThere, InfraError."""
        return self._json("POST", path, json=value)

    def put(self, path: str, value: object) -> Any:
        """Raises EngineBusy, NotThere, InfraError."""
        return self._json("PUT", path, json=value)

    def delete(self, path: str, value: object) -> Any:
        """Raises EngineBusy, NotThere, InfraError."""
        return self._json("DELETE", path, json=value)

    def text(self, path: str, **query: str | int) -> str:
        """Raises EngineBusy, NotThere, InfraError."""
        return self._bytes("GET", path, params=query).decode(errors="replace")

    def file(self, path: str, target: Path, most: int) -> None:
        """What the API leads to, wherever that is. Raises EngineBusy, NotThere, InfraError, OSError."""
        import requests

        try:
            with self._ask("GET", path) as answer:
                where = answer.headers.get("location", "") if answer.is_redirect else ""
                if not where:
                    self._check(answer)
                    _save(answer, target, most)
            if where:  # without the token, which is not for that host
                with requests.get(where, stream=True, timeout=_TIMEOUT) as answer:
                    self._check(answer)
                    _save(answer, target, most)
        except requests.RequestException as error:
            raise EngineBusy(self._masked(str(error))) from error

    def _json(self, method: str, path: str, **more: Any) -> Any:
        data = self._bytes(method, path, **more)
        try:
            return json.loads(data) if data.strip() else None
        except (ValueError, RecursionError) as error:
            raise EngineBusy(f"{self.url} did not return JSON") from error

    def _bytes(self, method: str, path: str, **more: Any) -> bytes:
        import requests

        try:
            with self._ask(method, path, **more) as answer:
                self._check(answer)
                return _read(answer, _MOST)
        except requests.RequestException as error:
            raise EngineBusy(self._masked(str(error))) from error

    def _ask(self, method: str, path: str, **more: Any) -> "requests.Response":
        return self._session.request(
            method,
            f"{self.url}{path}",
            timeout=_TIMEOUT,
            stream=True,
            allow_redirects=False,
            auth=self._authorize,
            **more,
        )

    def _authorize(self, request: Any) -> Any:
        if self._token_file:
            try:
                self._token = Path(self._token_file).read_text().strip()
            except OSError as error:
                raise InfraError(f"{self._token_file}: {error.strerror or error}") from error
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _check(self, answer: "requests.Response") -> None:
        if answer.ok and not answer.is_redirect:
            return
        said = _read(answer, 2000).decode(errors="replace")
        words = self._masked(f"{self.url}: status {answer.status_code}: {said}")
        # GitHub says 403 to who asks too often.
        often = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
        if answer.status_code in _BUSY or answer.status_code >= 500 or (answer.status_code == 403 and often):
            raise EngineBusy(words)
        raise NotThere(words) if answer.status_code in (404, 410) else InfraError(words)

    def _masked(self, text: str) -> str:
        """One line, without the token."""
        return one_line(text.replace(self._token, "***") if self._token else text, 300)


def _read(answer: "requests.Response", most: int) -> bytes:
    """The first bytes. Raises RequestException, unlike `answer.raw`."""
    data = b""
    for block in answer.iter_content(min(most, _CHUNK)):
        data += block
        if len(data) >= most:
            break
    return data[:most]


def _save(answer: "requests.Response", target: Path, most: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for block in answer.iter_content(_CHUNK):
            if file.tell() > most:
                raise InfraError(f"a response has more than {most >> 20} MiB")
            file.write(block)
