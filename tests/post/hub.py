# SPDX-License-Identifier: GPL-2.0-or-later
"""A server on loopback that takes what GitHub takes, by GitHub's own description of its API, and nothing else."""

import http.server
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.web import serving

OPENAPI = json.loads((Path(__file__).parent / "github_openapi.json").read_text())
TOKEN = "ghs_0123456789abcdefCANARY"
ME = "github-actions[bot]"
_BYTES = 65_535
"""Of a body or summary; the description says so in words for some fields only."""


@dataclass
class Trouble:
    """What the server does to one request instead of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    """It takes the request all the same: the answer was lost on its way."""


@dataclass
class Hub:
    """One repository."""

    url: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """`POST /repos/…`, in order."""
    refused: list[str] = field(default_factory=list)
    trouble: list[Trouble | None] = field(default_factory=list)
    """What the next requests meet; None: nothing."""
    page: int = 2
    """Things on one page of a list, whatever is asked for."""
    user: str = ""
    """Whose token it is; empty: a job's, which may not ask."""

    def answer(self, method: str, address: str, token: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Status, value and headers."""
        self.asked.append(f"{method} {urlsplit(address).path}")
        met = self.trouble.pop(0) if self.trouble else None
        if met and not met.done:
            return met.status, {"message": "no"}, met.headers
        if token != f"Bearer {TOKEN}":
            return 401, {"message": f"Bad credentials {token}"}, {}
        problem = wrong(method, address, body)
        if problem:
            self.refused.append(problem)
            return (404 if problem == "no such operation" else 422), {"message": problem}, {}
        found = self._do(method, address, json.loads(body) if body else None)
        return (met.status, {"message": "no"}, met.headers) if met else found

    def _do(self, method: str, address: str, value: Any) -> tuple[int, Any, dict[str, str]]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if path == "/user":
            return (200, {"login": self.user}, {}) if self.user else (403, {"message": "Resource not accessible"}, {})
        number = int(path.rpartition("/")[2]) if path.rpartition("/")[2].isdigit() else 0
        if path.endswith("/check-runs") and method == "POST":
            self.checks.append({"id": len(self.checks) + 1, "output": {}, "all": []})
            return 201, self._write(self.checks[-1], value), {}
        if method == "PATCH" and "check-runs" in path:
            return 200, self._write(self.checks[number - 1], value), {}
        if path.endswith("/check-runs"):
            sha = path.split("/")[-2]
            found = [one for one in self.checks if one["head_sha"] == sha and one["name"] == query["check_name"][0]]
            shown, headers = self._page(address, found)
            return 200, {"total_count": len(found), "check_runs": shown}, headers
        if path.endswith("/comments") and method == "POST":
            login = self.user or ME
            self.comments.append({"id": len(self.comments) + 1, "user": {"login": login}, "body": value["body"]})
            return 201, self.comments[-1], {}
        if method == "PATCH":
            self.comments[number - 1]["body"] = value["body"]
            return 200, self.comments[number - 1], {}
        shown, headers = self._page(address, self.comments)
        return 200, shown, headers

    def _write(self, check: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        check["all"] += value["output"].get("annotations", [])
        check |= {name: value[name] for name in value if name != "output"}
        output = {name: value["output"][name] for name in ("title", "summary")}
        check["output"] = output | {"annotations_count": len(check["all"])}
        return check

    def _page(self, address: str, things: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
        page = int(parse_qs(urlsplit(address).query).get("page", ["1"])[0])
        following = f'<{self.url}{urlsplit(address).path}?{urlsplit(address).query}&page={page + 1}>; rel="next"'
        following = re.sub(r"&page=\d+(?=&page)", "", following)
        more = len(things) > page * self.page
        return things[(page - 1) * self.page : page * self.page], {"Link": following} if more else {}


def wrong(method: str, address: str, body: bytes) -> str:
    """Why GitHub refuses a request; empty: it does not."""
    path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
    for template, operations in OPENAPI["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path) and method.lower() in operations:
            return _wrong_words(operations[method.lower()], query, body)
    return "no such operation"


def _wrong_words(operation: dict[str, Any], query: dict[str, list[str]], body: bytes) -> str:
    known = {one["name"]: one["schema"] for one in operation["parameters"] if one["in"] == "query"}
    for name, values in query.items():
        if name not in known:
            return f"unknown parameter {name}"
        if "enum" in known[name] and values[0] not in known[name]["enum"]:
            return f"{name} is {values[0]}"
    if operation["body"] is None:
        return "a body" if body and body != b"null" else ""
    value = json.loads(body)
    try:
        jsonschema.validate(value, operation["body"])
    except jsonschema.ValidationError as error:
        return error.message[:200]
    texts = [str(value.get("body", "")), str(value.get("output", {}).get("summary", ""))]
    if any(len(text.encode()) > _BYTES for text in texts):
        return "is too long"
    strange = set(value) - set(_properties(operation["body"]))
    return f"unknown fields {strange}" if strange else ""


def _properties(schema: dict[str, Any]) -> set[str]:
    found = set(schema.get("properties", {}))
    return found.union(*(_properties(one) for key in ("oneOf", "anyOf", "allOf") for one in schema.get(key, [])))


@contextmanager
def hub() -> Iterator[Hub]:
    """A server, empty."""
    made = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, value, headers = made.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            raw = json.dumps(value).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = _any

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as made.url:
        yield made
