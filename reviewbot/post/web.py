# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests to servers that take results: bounded, patient, and never with a token where it could be read."""

import json
from typing import TYPE_CHECKING, Any

from reviewbot import __version__
from reviewbot.model.words import one_line
from reviewbot.post.outbox import NotTaken

if TYPE_CHECKING:
    import requests

BACKOFF = 0.5
"""Seconds; the n-th pause is 2^n times as long, where the server names none."""
_TIMEOUT = (10.0, 60.0)
_MAX_BYTES = 8 << 20
_LONGEST_PAUSE = 120
"""Seconds that a server may tell us to wait within one call."""


class Server:
    """One server, asked with one token. token: the whole value of the header `Authorization`, or empty.

    What a server is too busy for (429, 503) is asked again when it says, at most two minutes later; a connection that
    was never made, too. Requests whose answer was lost are not repeated.
    """

    def __init__(self, token: str) -> None:
        import requests  # 50 ms that only a delivery costs
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        retry = Retry(
            total=6,
            connect=2,
            read=0,
            other=0,
            redirect=0,
            status=4,
            status_forcelist=(429, 503),
            allowed_methods=None,
            backoff_factor=BACKOFF,
            respect_retry_after_header=True,
            raise_on_status=False,
            retry_after_max=_LONGEST_PAUSE,
        )
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": f"reviewbot/{__version__}"})
        self._token = token
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def get(self, url: str, **query: str) -> Any:
        """The JSON that it answers with. Raises NotTaken."""
        import requests

        try:
            return self._answer(self._ask("GET", url, params=query))
        except requests.RequestException as error:
            raise NotTaken(self._words(error), again=True) from error

    def post(self, url: str, value: object, *, blind: bool = False) -> Any:
        """The JSON that it answers with. Raises NotTaken; OSError when it may have taken the value.

        blind: nobody can ask the server whether it has the value. Then only a refusal is one: after an error of the
        server's own (5xx, but not a 503, which says that it did nothing), or an answer of success that cannot be read,
        the value may be there.
        """
        import requests

        try:
            answer = self._ask("POST", url, json=value)
            if blind and (answer.ok or (answer.status_code >= 500 and answer.status_code != 503)):
                return self._answer_of_one_who_took(answer)
            return self._answer(answer)
        except (requests.ConnectTimeout, requests.exceptions.InvalidURL, requests.exceptions.SSLError) as error:
            raise NotTaken(self._words(error), again=isinstance(error, requests.ConnectTimeout)) from error
        except requests.ConnectionError as error:
            if "NewConnectionError" in repr(error.args) or "NameResolutionError" in repr(error.args):
                raise NotTaken(self._words(error), again=True) from error
            raise OSError(self._words(error)) from error
        except requests.RequestException as error:
            raise OSError(self._words(error)) from error

    def _ask(self, method: str, url: str, **more: Any) -> "requests.Response":
        # In a header of its own, so that no .netrc of the user replaces it.
        return self._session.request(
            method, url, timeout=_TIMEOUT, stream=True, allow_redirects=False, auth=self._authorize, **more
        )

    def _authorize(self, request: Any) -> Any:
        if self._token:
            request.headers["Authorization"] = self._token
        return request

    def _answer(self, answer: "requests.Response") -> Any:
        """Raises NotTaken when it is no answer of success; of 5xx nobody knows, and the server said no."""
        with answer:
            data = answer.raw.read(_MAX_BYTES, decode_content=True)
        if not answer.ok or answer.is_redirect:
            said = one_line(self._masked(data.decode(errors="replace")), 200)
            again = answer.status_code in (408, 425, 429) or answer.status_code >= 500
            raise NotTaken(f"status {answer.status_code}: {said or answer.reason}", again=again)
        try:
            return json.loads(data) if data.strip() else None
        except ValueError as error:
            raise NotTaken("it did not return JSON", again=False) from error

    def _answer_of_one_who_took(self, answer: "requests.Response") -> Any:
        """Raises OSError."""
        try:
            return self._answer(answer)
        except NotTaken as error:
            raise OSError(f"it may have been accepted: {error}") from error

    def _words(self, error: Exception) -> str:
        return one_line(self._masked(str(error)), 200)

    def _masked(self, text: str) -> str:
        """Without the token, whatever repeats it."""
        secret = self._token.rpartition(" ")[2]
        return text.replace(secret, "***") if secret else text
