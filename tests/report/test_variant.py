# SPDX-License-Identifier: GPL-2.0-or-later
"""Every report of a variant says which one it was; crashes are shown by their traces."""

from xml.etree import ElementTree

from reviewbot.model.results import Outcome
from reviewbot.model.variants import Variant
from reviewbot.report import junit_xml, reply_mail, said, summary_markdown
from tests.report.records import DMESG, PLAN, case, judged, leg, results

VARIANT = Variant(name="kasan,lockdep", why="mistakes")
TRACE = "BUG: KASAN\n fuse_symlink+0x1/0x2 (fs/fuse/dir.c:931)"


def test_the_variant_is_in_titles_properties_and_the_command() -> None:
    record = judged(results(leg("ext4", case("smoke", "rename", Outcome.PASS)))).model_copy(
        update={"plan": PLAN.model_copy(update={"variant": VARIANT})}
    )
    assert summary_markdown(record).startswith("# ✅ PASS (variant kasan,lockdep): ")
    assert b"\nPASS (variant kasan,lockdep): " in reply_mail(record, b"")
    (found,) = ElementTree.fromstring(junit_xml(record)).findall(".//property[@name='variant']")
    assert found.get("value") == "kasan,lockdep"


def test_the_verdict_says_that_it_was_not_the_plain_stack() -> None:
    plain = results(leg("ext4", case("smoke", "rename", Outcome.PASS)))
    varied = said(judged(plain.model_copy(update={"variant": "kasan"})))
    assert "variant kasan: results differ from those of the plain stack" in varied.notes
    assert not any("variant" in note for note in said(judged(plain)).notes)


def test_a_crash_is_shown_with_the_lines_of_the_source() -> None:
    crashed = case("smoke", "rename", Outcome.CRASH).model_copy(
        update={"crash": "kasan", "dmesg": DMESG, "trace": TRACE}
    )
    record = judged(results(leg("ext4", crashed)))
    assert record.verdict is not None and record.verdict.findings[0].detail == TRACE
    assert b"fs/fuse/dir.c:931" in reply_mail(record, b"")
    (error,) = ElementTree.fromstring(junit_xml(record)).findall(".//error")
    assert error.text == TRACE
