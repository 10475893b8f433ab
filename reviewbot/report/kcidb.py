# SPDX-License-Identifier: GPL-2.0-or-later
"""kcidb.json: the run for KernelCI's database, in the shape of kcidb-io's schema 5.3.

The schema knows one repository per checkout, so there is one checkout and one build per component, and each names the
others of its stack.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reviewbot.model.deaths import evidence
from reviewbot.model.posting import Part
from reviewbot.model.results import Known, LegResult, Outcome, TestResult
from reviewbot.model.verdict import Finding, FindingKind, VerdictKind
from reviewbot.model.words import one_line, plain
from reviewbot.report.record import Record
from reviewbot.report.words import sentence

ORIGIN = "reviewbot"
_EXCERPT = 16000
_STATUS = {
    Outcome.PASS: "PASS", Outcome.FAIL: "FAIL", Outcome.CRASH: "FAIL", Outcome.HANG: "FAIL", Outcome.KNOWN: "FAIL",
    Outcome.NOTRUN: "SKIP", Outcome.MISS: "MISS", Outcome.INFRA: "ERROR",
}  # fmt: skip
_SUITES = {"fstests": "xfstests", "smoke": "reviewbot.smoke"}
"""Suite -> path of its tests, as others name them."""
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


def kcidb(record: Record, mails: Mapping[str, bytes]) -> dict[str, Any]:
    """One submission. mails: raw, by Message-ID. Nothing in it is null; what is not known is left out."""
    components = _components(record)
    found: dict[str, Any] = {"version": {"major": 5, "minor": 3}}
    found["checkouts"] = [_checkout(record, name, components, mails) for name in components]
    found["builds"] = list(_builds(record, components))
    found["tests"] = [_test(record, leg, test) for leg, test in _tests(record)] if found["builds"] else []
    issues = [*_new_issues(record), *_known_issues(record)] if found["builds"] else []
    found["issues"] = list({issue["id"]: issue for issue, _ in issues}.values())
    found["incidents"] = [
        {
            "id": f"{test}:{issue['id'].rpartition(':')[2]}",
            "origin": ORIGIN,
            "issue_id": issue["id"],
            "issue_version": 1,
            "test_id": test,
            "present": True,
        }
        for issue, tests in issues
        for test in tests
    ]
    return found


def _components(record: Record) -> tuple[str, ...]:
    if record.trees:
        return tuple(tree.component for tree in record.trees.trees)
    return record.posting.components


def _id(record: Record, *words: str) -> str:
    return f"{ORIGIN}:{':'.join(_clean(word) for word in (record.run, *words))}"


def _clean(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./+-]", "_", text)[:200]


def _checkout(record: Record, component: str, components: Sequence[str], mails: Mapping[str, bytes]) -> dict[str, Any]:
    parts = record.posting.component_parts(component, rfc=record.plan.rfc if record.plan else True)
    tree = record.trees.get(component) if record.trees else None
    stack = [_id(record, other) for other in components if other != component]
    refused = [f for f in _findings(record) if f.kind is FindingKind.APPLY and f.component == component]
    found: dict[str, Any] = {
        "id": _id(record, component),
        "origin": ORIGIN,
        "tree_name": one_line(component),
        "valid": not refused,
        "comment": one_line(record.posting.subject, 500),
        **_patchset(record, parts, mails),
        **_excerpt(refused),
        "misc": {"reviewbot": {"run": record.run, "component": component, "stack": stack}},
    }
    if record.started:
        found["start_time"] = record.started.isoformat()
    if tree and tree.provider == "git":
        found["git_commit_hash"] = tree.base_commit
        if tree.url.startswith("https://"):
            found["git_repository_url"] = tree.url
    if (head := next((part.cover for part in parts if part.cover), record.posting.top)) and _ADDRESS.fullmatch(head):
        found["message_id"] = head
    return found


def _patchset(record: Record, parts: Sequence[Part], mails: Mapping[str, bytes]) -> dict[str, Any]:
    """The hash is that of `sha256sum *.patch | cut -c-64 | sha256sum`, over the mails in their order."""
    ids = [patch.message_id for part in parts for patch in part.patches]
    if not ids:
        return {"patchset_hash": ""}
    sums = [hashlib.sha256(mails[one]).hexdigest() for one in ids if one in mails]
    whole = hashlib.sha256("".join(f"{one}\n" for one in sums).encode()).hexdigest()
    found: dict[str, Any] = {"patchset_hash": whole} if len(sums) == len(ids) else {}
    if record.posting.sent:
        found["patchset_files"] = [
            {"name": f"{number:04}.patch", "url": f"https://lore.kernel.org/r/{_quoted(one)}/raw"}
            for number, one in enumerate(ids, 1)
        ]
    return found


def _quoted(message_id: str) -> str:
    return "".join(
        char if re.match(r"[A-Za-z0-9@+=.,_~-]", char) else "".join(f"%{b:02X}" for b in char.encode(errors="replace"))
        for char in message_id
    )


def _findings(record: Record) -> tuple[Finding, ...]:
    return record.verdict.findings if record.verdict else ()


def _excerpt(findings: Sequence[Finding]) -> dict[str, str]:
    text = "\n".join(filter(None, (part for one in findings for part in (sentence(one), plain(one.detail)))))
    return {"log_excerpt": plain(text)[:_EXCERPT]} if text else {}


def _builds(record: Record, components: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of each component that was built, or failed to be."""
    variant = record.variant or "default"
    for component in components:
        broken = [one for one in _findings(record) if one.kind is FindingKind.HEAD and one.component == component]
        artifact = record.artifacts.artifacts.get(component) if record.artifacts else None
        if artifact is None and not broken and record.results is None:
            continue
        failed = record.verdict is not None and record.verdict.kind is VerdictKind.BUILD_FAILS and bool(broken)
        build: dict[str, Any] = {
            "checkout_id": _id(record, component),
            "id": _id(record, component),
            "origin": ORIGIN,
            "architecture": "x86_64",
            "config_name": _clean(variant),
            "status": "FAIL" if failed else "PASS",
            **_excerpt(broken),
            "misc": {"reviewbot": {"variant": variant}},
        }
        if artifact and artifact.seconds:
            build["duration"] = round(artifact.seconds, 3)
        if compiler := next((one.tool for one in broken if one.tool), ""):
            build["compiler"] = one_line(compiler)
        yield build


def _tests(record: Record) -> Iterator[tuple[LegResult, TestResult]]:
    return ((leg, test) for leg in (record.results.legs if record.results else ()) for test in leg.tests)


def _test_id(record: Record, leg: str, suite: str, test: str) -> str:
    return _id(record, leg, suite, test)


def _test(record: Record, leg: LegResult, test: TestResult) -> dict[str, Any]:
    """A test of a whole stack; it is put below the kernel's build, or the first component's."""
    components = _components(record)
    below = "kernel" if "kernel" in components else components[0]
    text = test.trace or test.dmesg if test.crash else evidence(test.death) if test.death else test.diff or test.excerpt
    found: dict[str, Any] = {
        "build_id": _id(record, below),
        "id": _test_id(record, leg.leg, test.suite, test.test),
        "origin": ORIGIN,
        "path": ".".join((_SUITES.get(test.suite, _path(test.suite)), *map(_path, test.test.split("/")))),
        "status": _STATUS[test.outcome],
        "duration": round(test.seconds, 3),
        "environment": {
            "comment": one_line(f"QEMU x86_64, leg {leg.leg}, {leg.accelerator}"),
            "misc": {"leg": leg.leg, "accelerator": leg.accelerator},
        },
        "misc": {"reviewbot": {"outcome": str(test.outcome), "fingerprint": plain(test.fingerprint)}},
    }
    if test.reason:
        found["comment"] = one_line(test.reason, 500)
    if text:
        found["log_excerpt"] = plain(text)[:_EXCERPT]
    return found


def _path(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", text)[:200] or "_"


def _new_issues(record: Record) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """What is new on head."""
    for number, one in enumerate((f for f in _findings(record) if f.compared), 1):
        patches = [patch.message_id or patch.commit for patch in one.suspects]
        issue = {
            "id": _id(record, "new", str(number)),
            "version": 1,
            "origin": ORIGIN,
            "report_subject": one_line(sentence(one), 500),
            "culprit": {"code": True, "tool": False, "harness": False},
            "misc": {"reviewbot": {"patches": patches}},
        }
        also = [(leg, *name.split("/", 1)) for leg, _, name in (other.partition(" ") for other in one.also)]
        yield issue, [_test_id(record, *words) for words in ((one.leg, one.suite, one.test), *also)]


def _known_issues(record: Record) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """What the unpatched stack is known for: the same issue in every run."""
    found: dict[str, tuple[Known, list[str]]] = {}
    for leg, test in _tests(record):
        if test.known:
            key = hashlib.sha256(f"{test.known.reason} {test.known.link}".encode(errors="replace")).hexdigest()[:16]
            found.setdefault(key, (test.known, []))[1].append(_test_id(record, leg.leg, test.suite, test.test))
    for key, (known, tests) in found.items():
        issue: dict[str, Any] = {
            "id": f"{ORIGIN}:known:{key}", "version": 1, "origin": ORIGIN, "comment": one_line(known.reason, 500),
            "culprit": {"code": True, "tool": False, "harness": False},
        }  # fmt: skip
        if re.fullmatch(r"https?://[!-~]+", known.link):
            issue["report_url"] = known.link
        yield issue, tests
