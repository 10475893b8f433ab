# SPDX-License-Identifier: GPL-2.0-or-later
"""A check of a commit, and a comment on a pull request or issue, at GitHub (REST, version 2022-11-28).

Both are looked for before they are made, and what is there is updated: a delivery that was cut off can be repeated.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError
from reviewbot.model.github import Annotation, GithubReport
from reviewbot.post.outbox import Item, NotTaken, Outbox
from reviewbot.post.web import Server

GITHUB = "github"
"""Channel of the outbox."""
_BATCH = 50
"""Annotations that one request takes."""
_PAGES = 50
"""Of a list, at most; a hundred things each."""
_TRIES = 4
_PATIENCE = 900
"""Seconds that a limit of requests is waited for."""
_ACTIONS_BOT = "github-actions[bot]"
"""Who a job's own token speaks as; that token may not ask who it is."""


class Target(Model):
    """Where a report goes."""

    repository: str
    """`owner/name`."""
    sha: str = ""
    """Of a check: the commit, 40 hex digits."""
    component: str = ""
    """Of a check: whose files the annotations are on; empty: none."""
    issue: int = 0
    """Of a comment: number of the pull request or issue."""


class _Payload(Model):
    target: Target
    report: GithubReport


@dataclass(frozen=True, slots=True)
class GithubSettings:
    """Of the environment variables GITHUB_TOKEN and GITHUB_API_URL."""

    api: str
    token: str


def github_settings() -> GithubSettings:
    """Raises UsageError."""
    api, token = (
        os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        os.environ.get("GITHUB_TOKEN", ""),
    )
    where = urlsplit(api)
    if where.scheme != "https" and where.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError(f"GITHUB_API_URL must begin with https://: {api}")
    if not re.fullmatch(r"[!-~]+", token):
        raise UsageError("GITHUB_TOKEN is not set", hint="use a token with `checks: write` and `pull-requests: write`")
    return GithubSettings(api, token)


def github_target(repository: str, sha: str, component: str, issue: int) -> Target:
    """Checked words of a command line. Raises UsageError."""
    if not re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,100}/(?!\.\.?$)[A-Za-z0-9._-]{1,100}", repository):
        raise UsageError(f"not a GitHub repository: {repository}", hint="OWNER/NAME")
    if bool(sha) == bool(issue):
        raise UsageError("either --sha, for a check, or --issue, for a comment")
    if sha and not re.fullmatch(r"[0-9a-f]{40}", sha):
        raise UsageError(f"no commit: {sha}", hint="all 40 digits")
    return Target(repository=repository, sha=sha, component=component, issue=issue)


def put_github(report: GithubReport, target: Target, api: str, outbox: Outbox) -> Item:
    """What is to be sent, in the outbox. The same report for the same place is there once."""
    payload = _Payload(target=target, report=report).model_dump_json().encode()
    place = target.sha or f"#{target.issue}"
    return outbox.put(
        f"github {api} {target.repository} {place} {target.component} {report.run}",
        GITHUB,
        run=report.run,
        topic=report.topic,
        about=report.title,
        goes_to=f"{target.repository} {place}",
        payload=payload,
    )


def marker(report: GithubReport) -> str:
    """The line by which a comment about a posting is found again."""
    topic = hashlib.sha256(report.topic.encode(errors="replace")).hexdigest()[:32]
    return f"<!-- reviewbot {topic} {re.sub(r'[^0-9A-Za-z-]', '', report.run)} -->"


class Github:
    """GitHub's API, or one that is like it."""

    def __init__(self, settings: GithubSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = _Api(settings, sleep)

    def carry(self, item: Item) -> str:
        """One check or comment. Raises NotTaken; OSError when its answer was lost."""
        wanted = _Payload.model_validate_json(item.payload)
        return self._patiently(lambda: self._check(wanted) if wanted.target.sha else self._comment(wanted))

    def _patiently(self, attempt: Callable[[], str]) -> str:
        """Again after an error of the server; each attempt looks first what the one before it left."""
        for tried in range(1, _TRIES + 1):
            try:
                return attempt()
            except NotTaken as error:
                if not error.again or tried == _TRIES:
                    raise
                self._api.sleep(2.0**tried)
        raise AssertionError("unreachable")

    def _check(self, wanted: _Payload) -> str:
        target, report = wanted.target, wanted.report
        repository = f"/repos/{target.repository}"
        name = f"reviewbot {target.component}".strip()
        there = next(
            (
                one
                for one in self._api.all(
                    f"{repository}/commits/{target.sha}/check-runs", "check_runs", check_name=name, filter="latest"
                )
                if one.get("external_id") == report.run
            ),
            None,
        )
        left = list(report.annotations.get(target.component, ()))
        if there is None:
            first = _fields(name, report, left[:_BATCH]) | {"head_sha": target.sha}
            number, left = _number(self._api.ask("POST", f"{repository}/check-runs", first)), left[_BATCH:]
        else:
            output = there.get("output")
            count = output.get("annotations_count", 0) if isinstance(output, dict) else 0
            number, left = _number(there), left[count if isinstance(count, int) else 0 :]
            if not left:
                self._api.ask("PATCH", f"{repository}/check-runs/{number}", _fields(name, report, []))
        while left:
            self._api.ask("PATCH", f"{repository}/check-runs/{number}", _fields(name, report, left[:_BATCH]))
            left = left[_BATCH:]
        return "" if there is None else "it exists and is up to date"

    def _comment(self, wanted: _Payload) -> str:
        target, report = wanted.target, wanted.report
        repository, mark = f"/repos/{target.repository}", marker(wanted.report)
        body, me = f"{mark}\n{report.summary}", self._login()
        topic = mark.rpartition(" ")[0].rpartition(" ")[0]
        for one in self._api.all(f"{repository}/issues/{target.issue}/comments"):
            said, user = str(one.get("body", "")), one.get("user")
            if not said.startswith(f"{topic} ") or not isinstance(user, dict) or user.get("login") != me:
                continue
            if said.split("\n", 1)[0] > mark:  # the id of a run begins with its time
                return "the comment is of a newer run"
            if said.strip() != body.strip():
                self._api.ask("PATCH", f"{repository}/issues/comments/{_number(one)}", {"body": body})
            return "it exists and is up to date"
        self._api.ask("POST", f"{repository}/issues/{target.issue}/comments", {"body": body})
        return ""

    def _login(self) -> str:
        """Whose comments are ours."""
        try:
            found = self._api.ask("GET", "/user")
        except NotTaken as error:
            if error.again:
                raise
            return _ACTIONS_BOT
        return str(found.get("login", _ACTIONS_BOT)) if isinstance(found, dict) else _ACTIONS_BOT


class _Api(Server):
    """Requests below one URL, patient with GitHub's limits."""

    def __init__(self, settings: GithubSettings, sleep: Callable[[float], None]) -> None:
        super().__init__(f"Bearer {settings.token}")
        from requests.adapters import HTTPAdapter

        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))  # it says in headers of its own when to ask again
        self._session.headers.update({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
        self._base, self.sleep = settings.api, sleep

    def ask(self, method: str, path: str, value: object = None, **query: str) -> Any:
        """The JSON that it answers with. Raises NotTaken; OSError when it may have taken the value."""
        return self._asked(method, self._base + path, value, query)[0]

    def all(self, path: str, under: str = "", **query: str) -> Iterator[dict[str, Any]]:
        """Every object of a list, page by page. under: key of the list in each answer. Raises NotTaken."""
        url, asked = self._base + path, {**query, "per_page": "100"}
        for _ in range(_PAGES):
            answer, following = self._asked("GET", url, None, asked)
            found = answer.get(under) if under and isinstance(answer, dict) else answer
            yield from (one for one in (found if isinstance(found, list) else ()) if isinstance(one, dict))
            if not following.startswith(f"{self._base}/"):  # the token goes nowhere else
                return
            url, asked = following, {}

    def _asked(self, method: str, url: str, value: object, query: dict[str, str]) -> tuple[Any, str]:
        import requests

        waited = 0.0
        while True:
            try:
                answer = self._ask(method, url, params=query, json=value)
                if waited < _PATIENCE and (pause := _pause(answer)):
                    answer.close()
                    waited += min(pause, _PATIENCE)
                    self.sleep(min(pause, _PATIENCE))
                    continue
                return self._answer(answer), str(answer.links.get("next", {}).get("url", ""))
            except requests.ConnectTimeout as error:
                raise NotTaken(self._words(error), again=True) from error
            except requests.RequestException as error:
                if method == "GET":
                    raise NotTaken(self._words(error), again=True) from error
                raise OSError(self._words(error)) from error


def _pause(answer: Any) -> float:
    """Seconds until a limit of requests is over; 0: the answer is about no limit."""
    if answer.status_code not in (403, 429):
        return 0.0
    headers = answer.headers
    if headers.get("retry-after", "").isdigit():
        return max(1.0, float(headers["retry-after"]))
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(1.0, float(headers["x-ratelimit-reset"]) - time.time() + 1)
    return 0.0


def _fields(name: str, report: GithubReport, annotations: list[Annotation]) -> dict[str, Any]:
    output = {
        "title": report.title,
        "summary": report.summary,
        "annotations": [
            {
                "path": one.path,
                "start_line": one.line,
                "end_line": one.line,
                "annotation_level": one.level,
                "title": one.title,
                "message": one.message,
            }
            for one in annotations
        ],
    }
    fields = {"name": name, "external_id": report.run, "status": "completed", "conclusion": report.conclusion}
    return {**fields, "output": output} | ({"details_url": report.url} if report.url else {})


def _number(answer: Any) -> int:
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
        raise NotTaken("the response has no id", again=False)
    return int(answer["id"])
