# SPDX-License-Identifier: GPL-2.0-or-later
"""To whom a reply goes, and when it goes to nobody."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from reviewbot.model.errors import ConfigError
from reviewbot.model.posting import Posting, Version
from reviewbot.model.verdict import VerdictKind
from reviewbot.post.policy import Decision, Defaults, Policy, Rule, addresses, decide, load_policy
from tests.mails import mail
from tests.report.records import POSTING

DANA, LIST, OTHER = "dana@example.org", "linux-fsdevel@vger.kernel.org", "fuse-devel@lists.linux.dev"
BAD = VerdictKind.REGRESSION


def answered(to: str = f"{LIST}, Erin <erin@example.org>", more: str = "") -> EmailMessage:
    found: EmailMessage = message_from_bytes(more.encode() + mail("a@b", "[PATCH] x", to=to), policy=policy.default)
    return found


def decision(
    rules: Policy,
    kind: VerdictKind = BAD,
    *,
    mail: EmailMessage | None = None,
    posting: Posting = POSTING,
    sent: dict[str, tuple[datetime, ...]] | None = None,
) -> Decision:
    return decide(rules, kind, DANA, mail or answered(), posting, sent or {})


def test_by_default_findings_go_to_the_author_and_clean_results_to_nobody() -> None:
    assert decision(Policy()) == Decision()
    assert "clean result" in decision(Policy(), VerdictKind.PASS).held


def test_a_clean_result_goes_to_the_author_only() -> None:
    rules = Policy(defaults=Defaults(level="all", to="all"))
    assert decision(rules, VerdictKind.PASS) == Decision()
    assert decision(rules).cc == ("erin@example.org", LIST)


@pytest.mark.parametrize("to", ["list", "all"])
def test_a_list_may_want_copies(to: str) -> None:
    rules = Policy(lists={LIST: Rule.model_validate({"to": to}), OTHER: Rule(to="all", cc=("x@example.org",))})
    assert decision(rules).cc == ((LIST,) if to == "list" else ("erin@example.org", LIST))


@pytest.mark.parametrize("to", ["list", "all"])
def test_a_list_that_wants_no_copy_has_none_whatever_others_want(to: str) -> None:
    both = answered(to=f"{LIST}, {OTHER}")
    rules = {LIST: Rule(to="author"), OTHER: Rule(to="all")}
    assert decision(Policy(defaults=Defaults.model_validate({"to": to}), lists=rules), mail=both).cc == (OTHER,)


def test_an_author_may_want_the_lists_to_have_a_copy() -> None:
    rules = Policy(lists={LIST: Rule(), OTHER: Rule()}, authors={DANA: Rule(to="list")})
    assert decision(rules).cc == (LIST,)


def test_addresses_are_the_same_in_any_case() -> None:
    assert decision(Policy(lists={LIST.upper(): Rule(mute=True)})).held
    assert decision(Policy(authors={DANA.title(): Rule(mute=True)})).held


@pytest.mark.parametrize("where", ["lists", "authors"])
def test_who_is_muted_hears_nothing_whatever_others_want(where: str) -> None:
    muted = Policy.model_validate({where: {LIST if where == "lists" else DANA: {"mute": True}}})
    both = muted.model_copy(update={"defaults": Defaults(to="all", level="all")})
    assert decision(both).held.endswith("is muted")


def test_the_most_careful_rule_wins() -> None:
    rules = Policy(
        lists={LIST: Rule(to="all", level="all", embargo_hours=2), "erin@example.org": Rule(private=True)},
        authors={DANA: Rule(level="findings", embargo_hours=6)},
    )
    found = decision(rules)
    assert found.cc == () and "6 h" in found.why
    assert decision(rules, VerdictKind.PASS).held
    assert decision(Policy(authors={DANA: Rule(level="none")})).held == "mails are disabled"


def test_an_rfc_and_a_superseded_posting_stay_silent() -> None:
    rfc = POSTING.model_copy(update={"parts": tuple(p.model_copy(update={"rfc": True}) for p in POSTING.parts)})
    assert decision(Policy(), posting=rfc).held == "the posting is an RFC"
    newer = Version(message_id="v4@x", subject="[PATCH v4] x", version=4, date=0, how="subject", newer=True)
    older = newer.model_copy(update={"newer": False})
    assert decision(Policy(), posting=POSTING.model_copy(update={"versions": (older,)})) == Decision()
    assert "[PATCH v4] x" in decision(Policy(), posting=POSTING.model_copy(update={"versions": (older, newer)})).held


@pytest.mark.parametrize(
    ("header", "silent"),
    [("Auto-Submitted: auto-replied", True), ("Auto-Submitted: no", False), ("X-Reviewbot-Run: 1", True),
     ("Precedence: bulk", True), ("Precedence: junk", True), ("Precedence: list", False),
     ("Precedence: bulk\nList-Id: <x.y>", False)],
)  # fmt: skip
def test_robots_are_not_answered(header: str, silent: bool) -> None:
    assert bool(decision(Policy(), mail=answered(more=f"{header}\n")).held) == silent


def test_too_many_mails_a_day_wait_for_the_next() -> None:
    now = datetime.now(UTC)
    first = now - timedelta(hours=20)
    sent: dict[str, tuple[datetime, ...]] = {"all": (first, now - timedelta(hours=10))}
    found = decision(Policy(defaults=Defaults(per_day=2)), sent=sent)
    assert found.until == first + timedelta(days=1) and not found.held
    assert decision(Policy(defaults=Defaults(per_day=3)), sent=sent).until is None


def test_a_second_mail_about_a_posting_waits() -> None:
    now = datetime.now(UTC)
    found = decision(Policy(), sent={"posting": (now - timedelta(hours=1),)})
    assert found.until and found.until > now + timedelta(hours=22)
    assert decision(Policy(defaults=Defaults(posting_hours=0)), sent={"posting": (now,)}).until is None


def test_the_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "posting.yaml"
    path.write_text("defaults: {level: all}\nlists:\n  x@y: {mute: true}\n")
    assert load_policy(path).lists["x@y"].mute
    path.write_text("lists:\n  x@y: {mut: true}\n")
    with pytest.raises(ConfigError, match="unknown key") as caught:
        load_policy(path)
    assert "posting.yaml:2" in str(caught.value)
    with pytest.raises(ConfigError, match="no such file"):
        load_policy(tmp_path / "other.yaml")
    assert load_policy() == Policy(), "a user without one"


def test_brackets_without_end_name_nobody() -> None:
    message = EmailMessage(policy=policy.compat32)
    message["To"], message["Cc"] = "(" * 20_000, "a:" * 20_000
    assert addresses(message) == frozenset()
