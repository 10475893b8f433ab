# SPDX-License-Identifier: GPL-2.0-or-later
"""What was selected and not run is in every report, with the reason."""

import datetime

from junitparser import JUnitXml

from reviewbot.model.results import Exclusion, LeftOut, Outcome
from reviewbot.report import files
from tests.report.records import case, judged, leg, results

LINK = "https://example.org/dangerous"
GROUP = Exclusion(
    by="group", pattern="dangerous*", reason="hangs kernels", link=LINK, tests=("generic/068", "generic/390")
)
TEST = Exclusion(
    by="test",
    pattern="generic/013",
    reason="known since 1.47",
    link=LINK,
    when="kernel < 6.13",
    expires=datetime.date(2027, 1, 31),
    tests=("generic/013",),
)
LEFT = LeftOut(suite="fstests", test="generic/269", seconds=1440.0, reason="does not fit into the budget")
LEARNED = case("fstests", "generic/110", Outcome.NOTRUN, reason="Reflink not supported (learned 2026-11-25)")


def reports() -> dict[str, str]:
    ext4 = leg(
        "ext4",
        case("fstests", "generic/001"),
        LEARNED.model_copy(update={"learned": True}),
        case("fstests", "generic/013", Outcome.NOTRUN, reason=f"excluded: {TEST.reason} ({LINK})"),
    )
    ext4 = ext4.model_copy(update={"excluded": (GROUP, TEST), "left_out": (LEFT,)})
    fuse = leg("fuse2fs", case("fstests", "generic/001"))
    fuse = fuse.model_copy(update={"excluded": (GROUP,), "left_out": (LEFT,)})
    found = files(judged(results(ext4, fuse)), {})
    return {name: content.decode() if isinstance(content, bytes) else str(content) for name, content in found.items()}


def test_mail_and_summary_tell_each_entry_once_with_its_legs_reason_link_and_end() -> None:
    made = reports()
    mail = " ".join(made["reply.eml"].split())
    assert mail.count("excluded by group dangerous*: 2 tests in ext4, 2 tests in fuse2fs: hangs kernels") == 1
    assert f"excluded by test generic/013 when kernel < 6.13: 1 test in ext4: known since 1.47 ({LINK})" in mail
    assert "until 2027-01-31" in mail and "left out for the budget: 2 tests (~48 min)" in mail
    assert "NOTRUN(learned): 1 test skipped" in mail
    summary = made["summary.md"]
    assert "NOTRUN(learned): Reflink not supported (learned 2026-11-25)" in summary
    assert "2 tests left out for the budget" in summary and "ext4 fstests/generic/269: ~1440 s" in summary
    assert "hangs kernels" in summary and LINK in summary


def test_junit_skips_them_with_the_reason() -> None:
    xml = JUnitXml.fromstring(reports()["junit.xml"].encode())
    said = {f"{case.classname} {case.name}": case.result[0].message for suite in xml for case in suite if case.result}
    assert said["ext4.fstests generic/110"] == "NOTRUN(learned): Reflink not supported (learned 2026-11-25)"
    assert said["ext4.fstests generic/013"] == f"excluded: known since 1.47 ({LINK})"
    assert said["fuse2fs.fstests.left-out group dangerous*"] == (
        f"excluded by group dangerous*: 2 tests: hangs kernels ({LINK})"
    )
    assert said["fuse2fs.fstests.left-out budget"] == "left out for the budget: 1 test (~24 min)"
