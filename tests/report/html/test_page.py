# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page says, and what its words can do."""

import datetime
import functools
import html
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from reviewbot.model.comparison import Class, Compared, Counts, Earlier, Quarantine, Rerun, Side
from reviewbot.model.deep import Deep
from reviewbot.model.results import Outcome
from reviewbot.model.verdict import Finding, FindingKind
from reviewbot.report import Record
from reviewbot.report.html import html_page
from reviewbot.report.html.findings import findings
from reviewbot.report.html.table import on_base
from reviewbot.report.words import said
from reviewbot.verdict import with_deep
from tests.report.records import RECORDS, RUN, case, compared, failing, judged, large, leg, passing, results
from tests.report.test_injection import TEXTS, broken_record, record_with, reviewed_record


class Seen(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]

    def links(self) -> list[str]:
        return [attrs["href"] for tag, attrs in self.tags if tag == "a" and "href" in attrs]


@pytest.mark.parametrize("name", RECORDS)
def test_the_same_record_gives_the_same_bytes(name: str) -> None:
    assert html_page(RECORDS[name]()) == html_page(RECORDS[name]())


@pytest.mark.parametrize("name", RECORDS)
def test_ids_are_unique_and_links_within_the_page_have_a_target(name: str) -> None:
    page = Seen(html_page(RECORDS[name]()))
    ids = page.ids()
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.links() if link.startswith("#")} <= set(ids)


@pytest.mark.parametrize("name", RECORDS)
def test_the_page_needs_nothing_but_itself(name: str) -> None:
    page = html_page(RECORDS[name]())
    assert "default-src 'none'" in html.unescape(page)
    assert not re.findall(r"""(?:src|xlink:href)=["'](?!#)|@import|url\((?!#)""", page)


def test_the_card_has_verdict_subject_and_count_of_findings_first() -> None:
    text = Seen(html_page(compared())).text
    body = text[text.index("Skip to the result") :]
    order = ("REGRESSION", "fuse: faster rename", "5 findings", "seconds", "Comes from")
    places = [body.index(words) for words in order]
    assert places == sorted(places)


def test_a_new_failure_has_its_runs_its_patch_and_how_to_do_it_again() -> None:
    text = " ".join(Seen(html_page(compared())).text.split())
    assert "Fails 4/4 on head, 0/4 on base." in text
    assert "libfuse patch 2/3: [PATCH 2/3] libfuse: step 2 (97 %)" in text
    assert f"reviewbot reproduce {RUN} smoke/rename --leg fuse2fs" in text
    assert f"reviewbot reproduce {RUN} generic/001 --leg fuse2fs" in text


def test_the_last_outcomes_and_what_is_known_of_a_test_stand_beside_its_failure() -> None:
    record = compared()
    assert record.comparison
    earlier = tuple(
        Earlier(run=f"2026110{n}-000000-0000", side=Side.BASE, outcome=outcome)
        for n, outcome in enumerate((Outcome.PASS, Outcome.HANG), 1)
    )
    held = Quarantine(reason="waits for a fix", link="https://example.org/q", expires=datetime.date(2026, 12, 31))
    known = {"earlier": earlier, "quarantine": held, "flakes": Counts(failed=6, runs=20)}
    tests = tuple(
        test.model_copy(update=known) if test.kind is Class.FLAKY else test for test in record.comparison.tests
    )
    comparison = record.comparison.model_copy(update={"tests": tests})
    text = " ".join(Seen(html_page(record.model_copy(update={"comparison": comparison}))).text.split())
    assert "other runs PASS HANG" in text
    assert "known to fail on base 6/20 times" in text
    assert "quarantine until 2026-12-31: waits for a fix (https://example.org/q)" in text


def test_files_of_the_run_may_lie_elsewhere() -> None:
    page = Seen(html_page(compared(), files="https://ci.example.org/runs/x/"))
    outside = [link for link in page.links() if not link.startswith("#")]
    assert outside and all(link.startswith("https://") for link in outside)
    assert "https://ci.example.org/runs/x/logs/leg/smoke/rename" in outside


def rerun(side: Side, number: int, outcome: Outcome) -> Rerun:
    return Rerun(side=side, number=number, outcome=outcome)


@pytest.mark.parametrize(
    "outcomes, words",
    [((), ""), ((Outcome.PASS,) * 3, "PASS"), ((Outcome.FAIL,) * 2, "FAIL"),
     ((Outcome.PASS, Outcome.FAIL, Outcome.PASS), "FAIL 1/3"), ((Outcome.PASS, Outcome.KNOWN, Outcome.PASS), "PASS")],
)  # fmt: skip
def test_runs_on_base_are_one_word(outcomes: tuple[Outcome, ...], words: str) -> None:
    reruns = [rerun(Side.BASE, number, outcome) for number, outcome in enumerate(outcomes, 1)]
    test = Compared(
        leg="x",
        suite="smoke",
        test="y",
        outcome=Outcome.FAIL,
        kind=Class.FLAKY,
        reruns=(rerun(Side.HEAD, 1, Outcome.HANG), *reruns),
    )
    assert on_base(test) == words


def test_a_large_run_makes_a_page_that_browsers_take() -> None:
    page = html_page(large(1500))
    assert len(page.encode()) < 5_000_000
    assert page.count("<tr data-f=") == 1500


def test_a_run_of_few_tests_has_no_chart() -> None:
    assert "Longest tests<" in html_page(compared()) and "Longest tests<" not in html_page(passing())


def test_a_variant_of_a_deep_run_has_its_own_columns_and_its_own_evidence() -> None:
    plain, deep = judged(results(leg("fuse2fs", case("smoke", "fio")))), failing()
    assert deep.results and plain.verdict
    variant = Deep(variant="kasan", results=deep.results)
    verdict = with_deep(plain.verdict, variant, lambda commit: None)
    text = " ".join(Seen(html_page(plain.model_copy(update={"deep": (variant,), "verdict": verdict}))).text.split())
    assert "fuse2fs (kasan)" in text and "#PF: supervisor read access in kernel mode" in text
    assert f"reviewbot reproduce {RUN} smoke/fio" not in text
    assert "deep/kasan/logs/leg/smoke/fio" in text


BUILDS = (record_with, broken_record, reviewed_record)


@functools.cache
def elements(build: Callable[[str], Record]) -> tuple[set[str], set[str]]:
    """Names of the elements, and of the attributes, of a page of harmless words."""
    tags = [one for text in ("x", "-x\n+y\nBUG: z") for one in Seen(html_page(build(text))).tags]
    return {tag for tag, _ in tags}, {name for _, attrs in tags for name in attrs}


@settings(max_examples=20)
@given(TEXTS.filter(str.strip))
def test_no_text_makes_an_element_or_an_attribute(text: str) -> None:
    for build in BUILDS:
        made = html_page(build(text))
        page, (tags, names) = Seen(made), elements(build)
        assert {tag for tag, _ in page.tags} <= tags
        assert {name for _, attrs in page.tags for name in attrs} <= names
        assert all(re.match(r"#|logs/|https://lore\.kernel\.org/|[^:/?#]*$|[^:?#]*/", link) for link in page.links())
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made)


def test_what_a_variant_shows_is_not_explained_by_the_same_test_of_the_plain_stack() -> None:
    record = compared()
    assert record.verdict and record.results
    leg = next(leg for leg in record.results.legs if leg.tests)
    finding = Finding(
        kind=FindingKind.TEST,
        leg=leg.leg,
        variant="kasan,lockdep",
        suite=leg.tests[0].suite,
        test=leg.tests[0].test,
        outcome=Outcome.CRASH,
        said="lockdep: possible circular locking",
        detail="WARNING: possible circular locking",
        log="deep/kasan+lockdep/logs/x",
    )
    verdict = record.verdict.model_copy(update={"findings": (*record.verdict.findings, finding)})
    (told,) = findings(record, said(record.model_copy(update={"verdict": verdict})))[-1:]
    assert told.log == "deep/kasan+lockdep/logs/x"
    assert [piece.lines for piece in told.evidence] == [("WARNING: possible circular locking",)]
