# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of three runs: one that passed, one with every outcome, one whose series does not apply."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from reviewbot.build.errors import BuildFails, FirstError
from reviewbot.model.comparison import (
    Blame,
    BlamedPatch,
    Class,
    Compared,
    Comparison,
    Counts,
    FigureChange,
)
from reviewbot.model.coverage import Coverage, FileCoverage, PatchedLines
from reviewbot.model.errors import Blocked, InfraError, ReviewbotError
from reviewbot.model.plan import LegPlan, Plan, SourcePlan
from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.model.results import Known, LegResult, Outcome, Results, TestResult
from reviewbot.model.review import BuildWarning, PatchBuild, PatchRef, PatchReview, Review, ReviewFinding, Severity
from reviewbot.model.trees import AppliedPatch, Attempt, Tree, Trees
from reviewbot.report import Record
from reviewbot.trees.errors import DoesNotApply
from reviewbot.verdict import judge, judge_error, judge_review, with_review

RUN = "20261103-101502-7a3f"
TOOL = "reviewbot 0.1.0"
TOP = "20261102090000.GA1177@example.org"
AUTHOR = "Dana Example <dana@example.org>"
PARENT = (
    f"From: {AUTHOR}\nSubject: [PATCHSET v3] fuse: faster rename\nMessage-ID: <{TOP}>\n"
    "References: <20260901090000.GA1024@example.org>\n <20260801090000.GA1003@example.org>\n\nHello.\n"
).encode()
TCG = "/dev/kvm is not there, so the CPU is emulated (10 to 20 times slower)"


def _patches(component: str, path: str, count: int) -> tuple[Patch, ...]:
    return tuple(
        Patch(message_id=f"{component}.{n}@example.org", subject=f"[PATCH {n}/{count}] {component}: step {n}",
              author=AUTHOR, number=n, paths=(path,)) for n in range(1, count + 1)
    )  # fmt: skip


POSTING = Posting(
    top=TOP, subject="[PATCHSET v3] fuse: faster rename, and what libext2fs_rename() needs for it | part A",
    author=AUTHOR, source="https://lore.kernel.org/all/", parts=(
        Part(component="libfuse", counter="1/1", version=3, rfc=False, subject="libfuse: rename without a lookup",
             cover="libfuse@example.org", routed_by="lib/fuse.c", patches=_patches("libfuse", "lib/fuse.c", 3)),
        Part(component="e2fsprogs", counter="1/1", version=3, rfc=False, subject="fuse2fs: rename in one transaction",
             cover=None, base_commit="b" * 40, patches=_patches("e2fsprogs", "misc/fuse2fs.c", 1)),
    ),
)  # fmt: skip

SERVED = ("kernel", "libfuse", "e2fsprogs")
PLAN = Plan(
    posting=POSTING, rfc=True, suites=("smoke", "fstests"), tests="generic/001 generic/023",
    sources=(
        SourcePlan(component="libfuse", source="git https://github.com/libfuse/libfuse.git", base="master",
                   why="default of the stack; the posting declares no base"),
    ),
    arguments=("--tests", "generic/001 generic/023"),
    legs=tuple(LegPlan(leg=leg, why="wanted", needs=needs) for leg, needs in (
        ("ext4", ("kernel",)), ("fuse2fs", SERVED), ("fuse4fs-iomap", SERVED))),
)  # fmt: skip


def _tree(component: str, source: str, why: str, base: str, head: str, attempts: tuple[Attempt, ...] = ()) -> Tree:
    parts = POSTING.component_parts(component)
    return Tree(
        component=component, repository=f"/cache/repos/{component}.git", source=source,
        provider="git" if source.startswith("git ") else "deb",
        base_commit=base * 20,
        base_tree="c0" * 20, base_why=why, head_commit=head * 20, head_tree="d1" * 20, head_date=1793700000,
        patches=tuple(AppliedPatch(message_id=patch.message_id, subject=patch.subject, commit="e5" * 20)
                      for part in parts for patch in part.patches),
        attempts=attempts,
    )  # fmt: skip


TREES = Trees(
    trees=(
        _tree("kernel", "Debian linux-source-6.12 6.12.48-1", "default of the stack: the source as it is", "1a", "1a",
              (Attempt(what="git https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git",
                       result="unavailable: no route to host"),
               Attempt(what="Debian linux-source-6.12", result="used instead: linux-source-6.12 6.12.48-1"))),
        _tree("libfuse", "git https://github.com/libfuse/libfuse.git", "default of the stack: master", "2b", "3c"),
        _tree("e2fsprogs", "git https://git.kernel.org/pub/scm/fs/ext2/e2fsprogs.git",
              "default of the stack: next (the declared base-commit was not found)", "4d", "5e",
              (Attempt(what="base-commit: bbbbbbbbbbbb", result="the repository does not have it"),)),
    ),
    unavailable={"lkl": "could not fetch git https://github.com/lkl/linux.git: no route to host"},
)  # fmt: skip


def case(suite: str, test: str, outcome: Outcome = Outcome.PASS, **facts: str | float) -> TestResult:
    log = f"logs/leg/{suite}/{test}"
    return TestResult.model_validate(
        {"suite": suite, "test": test, "outcome": outcome, "seconds": 1.25, "log": log, **facts}
    )


def leg(name: str, *tests: TestResult, accelerator: str = "kvm", reason: str = "", reused: bool = False) -> LegResult:
    return LegResult(leg=name, available=True, reason=reason, tests=tests, accelerator=accelerator, seconds=93.5,
                     agent_seconds=4.5, reused=reused, proofs={"kernel_release": "6.12.48-rb-d1d1d1d1"})  # fmt: skip


NO_IOMAP = LegResult(
    leg="fuse4fs-iomap", available=False, reason="kernel.fuse_iomap is missing: the kernel was built without it"
)


def results(*legs: LegResult, why: str = "") -> Results:
    return Results(run=RUN, tool=TOOL, accelerator_why=why, legs=legs)


def judged(found: Results, posting: Posting = POSTING) -> Record:
    """A record whose tests ran, judged."""
    return Record(run=RUN, tool=TOOL, posting=posting, plan=PLAN, trees=TREES, results=found, verdict=judge(RUN, found))


ACL = Known(
    reason="fuse2fs stores ACLs and does not enforce them", link="https://example.org/acl", components=("e2fsprogs",)
)


def known(test: str, said: str) -> TestResult:
    return case("smoke", test, Outcome.KNOWN, reason=said).model_copy(update={"known": ACL})


def passing() -> Record:
    said = "an ACL that lets user 1234 read is stored, and 1234 may not read"
    return judged(
        results(
            leg("ext4", case("smoke", "rename"), case("smoke", "sparse"), case("fstests", "generic/001", seconds=42.0)),
            leg(
                "fuse2fs",
                case("smoke", "rename"),
                case("smoke", "acl", Outcome.KNOWN, reason=said).model_copy(update={"known": ACL}),
                reused=True,
            ),
            NO_IOMAP,
        )
    )


DIFF = """--- tests/generic/023.out
+++ /results/generic/023.out.bad
@@ -1,5 +1,6 @@
 QA output created by 023
 samedir  none/regu -> No such file or directory
-samedir  regu/regu -> none/regu.
+samedir  regu/regu -> regu/regu.
+mv: cannot stat '/mnt/test/a': No such file or directory

+```
"""
OOPS = "BUG: kernel NULL pointer dereference, address: 0000000000000018"
CRASHED = "fuse_lookup:lookup_slow"
DMESG = f"[   12.034567] {OOPS}\n[   12.034601] #PF: supervisor read access in kernel mode\n"


def failing() -> Record:
    """Every outcome at least once."""
    return judged(
        results(
            leg("ext4", case("smoke", "rename"), case("fstests", "generic/001"),
                case("fstests", "generic/023", Outcome.NOTRUN, reason="kernel doesn't support renameat2 syscall")),
            leg("fuse2fs",
                case("smoke", "rename", Outcome.FAIL, reason="content: got 'a', expected 'b' in dir_1/<new>",
                     excerpt="rename a b\ncontent: got 'a', expected 'b' in dir_1/<new>\n"),
                case("smoke", "fio", Outcome.CRASH, reason=f"oops: {CRASHED} (BUG: kernel NULL pointer dereference)",
                     crash="oops", fingerprint=CRASHED, dmesg=DMESG, excerpt="fio: starting 4 jobs\n"),
                known("acl", "may not read"),
                case("smoke", "links", Outcome.MISS, reason="the machine was lost before"),
                case("fstests", "generic/001", Outcome.HANG, reason="no end within 120 s", seconds=120.0),
                case("fstests", "generic/002", Outcome.INFRA, reason="QEMU died (status 1): out of memory"),
                case("fstests", "generic/023", Outcome.FAIL, reason="output differs, 3 lines", diff=DIFF),
                accelerator="tcg", reason="stopped early: the kernel crashed"),
            NO_IOMAP,
            why=TCG,
        )
    )  # fmt: skip


def refused() -> DoesNotApply:
    return DoesNotApply(
        component="libfuse", part="1/1", number=3, total=3, message_id="libfuse.3@example.org",
        subject="libfuse: step 3", file="lib/fuse.c:2871", base="2b2b2b2b2b2b (git https://github.com/libfuse/libfuse.git)",
        words="error: patch failed: lib/fuse.c:2871\nerror: lib/fuse.c: patch does not apply",
        hunk="@@ -2871,7 +2871,7 @@ static void fuse_lib_rename(fuse_req_t req)\n"
             " \tint err;\n-\terr = lookup();\n+\terr = 0;",
    )  # fmt: skip


def unapplied() -> Record:
    return Record(run=RUN, tool=TOOL, posting=POSTING, plan=PLAN, verdict=judge_error(RUN, refused()))


def _patch_review(
    component: str, number: int, total: int, build: PatchBuild | None, *found: ReviewFinding
) -> PatchReview:
    return PatchReview(component=component, message_id=f"{component}.{number}@example.org", commit="e5" * 20,
                       subject=f"[PATCH {number}/{total}] {component}: step {number}", part="1/1", number=number,
                       total=total, build=build,
                       findings=found)  # fmt: skip


def built(state: Literal["built", "failed", "not-affected", "skipped"] = "built", **facts: object) -> PatchBuild:
    return PatchBuild.model_validate({"commit": "e5" * 20, "state": state, "seconds": 4.5, **facts})


REVIEW_PLAN = PLAN.model_copy(update={"legs": (), "suites": (), "tests": "", "arguments": ()})
UNUSED = BuildWarning(
    tool="gcc", file="lib/fuse.c", line=2874, message="variable ‘err’ set but not used [-Wunused-but-set-variable]"
)
MISMATCH = ReviewFinding(
    tool="copies", severity=Severity.ERROR, file="include/fuse_kernel.h", line=238,
    message="FUSE_KERNEL_MINOR_VERSION is 45, but 46 in the kernel's include/uapi/linux/fuse.h:240",
    detail="-#define FUSE_KERNEL_MINOR_VERSION 46\n+#define FUSE_KERNEL_MINOR_VERSION 45",
)  # fmt: skip
SIGNED = ReviewFinding(
    tool="message", severity=Severity.ERROR, message="no Signed-off-by: of the author Dana Example <dana@example.org>",
)  # fmt: skip
LONG = ReviewFinding(
    tool="checkpatch", severity=Severity.WARNING, file="lib/fuse.c", line=2872, message="line length of 112 exceeds 100"
)
FIXES = ReviewFinding(
    tool="message", severity=Severity.NOTE, message='Fixes: 3c3c3c3c3c3c ("libfuse: step 0") is not in this tree',
)  # fmt: skip


def review_with_errors() -> Review:
    return Review(
        run=RUN, tool=TOOL, seconds=61.5, findings=(MISMATCH,), skipped={"sparse": "it is not in the build root"},
        patches=(
            _patch_review("libfuse", 1, 3, built(compiled=12), SIGNED, LONG),
            _patch_review("libfuse", 2, 3, built(
                "failed", error="‘struct fuse’ has no member named ‘rename’", place="lib/fuse.c:2871",
                detail="lib/fuse.c: In function ‘fuse_lib_rename’:\nlib/fuse.c:2871:10: error: ‘struct fuse’ has no "
                       "member named ‘rename’", log="logs/review/libfuse-2.log"), FIXES),
            _patch_review("libfuse", 3, 3, built(compiled=1, warnings=(UNUSED,))),
            _patch_review("e2fsprogs", 1, 1, built("skipped", why="libfuse does not build")),
        ),
    )  # fmt: skip


def review_clean() -> Review:
    return Review(
        run=RUN, tool=TOOL, seconds=61.5, patches=(
            _patch_review("libfuse", 1, 3, built(compiled=12), LONG),
            _patch_review("libfuse", 2, 3, built("not-affected", why="only doc/ changes")),
            _patch_review("libfuse", 3, 3, built(compiled=1)),
            _patch_review("e2fsprogs", 1, 1, built(compiled=7)),
        ),
    )  # fmt: skip


def reviewed(found: Review) -> Record:
    """A record of a run that only reviews."""
    return Record(run=RUN, tool=TOOL, posting=POSTING, plan=REVIEW_PLAN, trees=TREES, review=found,
                  verdict=judge_review(RUN, found))  # fmt: skip


def passing_with_review() -> Record:
    record, review = passing(), review_clean()
    assert record.verdict is not None
    return record.model_copy(update={"review": review, "verdict": with_review(record.verdict, review)})


def counted() -> Record:
    """A run of variant gcov, in which a server was killed."""
    patches = (
        PatchedLines(component="libfuse", file="lib/fuse.c", patch="libfuse patch 2/3", commit="e5" * 20,
                     executable=(10, 11, 12, 20), not_reached=(11, 12, 20), legs={"ext4": (), "fuse2fs": (10,)}),
        PatchedLines(component="libfuse", file="lib/fuse_i.h", patch="libfuse patch 3/3", commit="e5" * 20,
                     executable=(7,), legs={"fuse2fs": (7,)}),
        PatchedLines(component="e2fsprogs", file="misc/fuse2fs.c", patch="e2fsprogs patch 1/1", commit="e5" * 20,
                     executable=(3988, 3990), not_reached=(3990,), legs={"ext4": (), "fuse2fs": (3988,)}),
    )  # fmt: skip
    coverage = Coverage(
        run=RUN, tool=TOOL, patches=patches, unmeasured={"libfuse": ("lib/mount_bsd.c", "test/hello.c")},
        files=(FileCoverage(component="libfuse", file="lib/fuse.c", executable=2100, reached=700),),
        notes=("fuse2fs: a server was killed and wrote no counters: fuse2fs /dev/vdd pid 99 exit status 137",),
    )  # fmt: skip
    return passing().model_copy(update={"coverage": coverage})


def large(tests: int) -> Record:
    """A run of many tests in five legs, of which a few did not pass; made up, for pages and speeds."""
    said = {
        3: {"outcome": Outcome.FAIL, "reason": "output differs, 3 lines", "diff": DIFF},
        5: {"outcome": Outcome.NOTRUN, "reason": "this test needs reflink"},
        9: {"outcome": Outcome.CRASH, "reason": OOPS, "dmesg": DMESG * 10, "crash": "oops"},
    }
    legs = []
    for number, name in enumerate(("ext4", "fuse2fs", "fuse4fs", "fuse4fs-iomap", "lklfuse")):
        found = [
            case("fstests", f"generic/{n:04}", seconds=1.0 + n % 37).model_copy(
                update=said.get(n % 101) if number else None
            )
            for n in range(tests)
        ]
        legs.append(leg(name, *found))
    return judged(results(*legs))


def compared() -> Record:
    """A run with a new failure, a leak, and failures that base has, too."""
    failed = failing()
    assert failed.results
    leg = next(leg for leg in failed.results.legs if leg.leg == "fuse2fs")
    broken = [test for test in leg.tests if test.outcome.broken]
    blame = Blame(components=("libfuse",), runs=6, patches=(
        BlamedPatch(component="libfuse", commits=("e5" * 20,), probability=0.97),))  # fmt: skip
    kinds = (Class.NEW, Class.PRE_EXISTING, Class.FLAKY, Class.UNDECIDED)
    counts = {
        Class.NEW: (Counts(failed=4, runs=4), Counts(runs=4)),
        Class.PRE_EXISTING: (Counts(), Counts(failed=2, runs=2)),
        Class.FLAKY: (Counts(failed=1, runs=5), Counts(failed=1, runs=5)),
        Class.UNDECIDED: (Counts(failed=2, runs=30), Counts(runs=30)),
    }
    tests = tuple(
        Compared(leg="fuse2fs", suite=test.suite, test=test.test, outcome=test.outcome, reason=test.reason,
                 fingerprint=test.fingerprint, kind=kind, head=counts[kind][0], base=counts[kind][1],
                 blame=blame if kind is Class.NEW else None)
        for test, kind in zip(broken, kinds * 9, strict=False)
    )  # fmt: skip
    leak = FigureChange(leg="fuse2fs", suite="smoke", figure="memory", unit="KiB", base=(6200.0, 6300.0),
                        head=(34800.0, 35100.0), blame=blame)  # fmt: skip
    lost = FigureChange(leg="fuse2fs", suite="smoke", test="mkfs", figure="feature metadata_csum", unit="filesystems",
                        base=(1.0, 1.0), head=(0.0, 0.0), blame=blame)  # fmt: skip
    gained = lost.model_copy(update={"figure": "feature verity", "base": lost.head, "head": lost.base, "blame": None})
    dropped = lost.model_copy(update={"figure": "feature 64bit", "announced": "Do not enable 64bit by default."})
    figures = (leak, lost, lost.model_copy(update={"figure": "feature metadata_csum_seed"}), gained, dropped)
    comparison = Comparison(error_bound=0.0162, tests=tests, figures=figures)
    patch = PatchRef(component="libfuse", message_id="libfuse.2@example.org", number=2, total=3, commit="e5" * 20,
                     subject="[PATCH 2/3] libfuse: step 2")  # fmt: skip
    verdict = judge(RUN, failed.results, comparison, lambda commit: patch)
    return failed.model_copy(update={"comparison": comparison, "verdict": verdict})


def stopped(error: ReviewbotError, trees: Trees | None = TREES) -> Record:
    """A run that ended before its tests. trees: None where it ended before anything was applied."""
    return Record(run=RUN, tool=TOOL, posting=POSTING, plan=PLAN, trees=trees, verdict=judge_error(RUN, error))


def unbuilt() -> Record:
    """Head of one component does not build, since one of its patches."""
    words = "lib/fuse.c: In function ‘fuse_lib_rename’:\nlib/fuse.c:2871:10: error: ‘x’ undeclared"
    error = FirstError("‘x’ undeclared", "lib/fuse.c:2871", words)
    record = stopped(BuildFails("libfuse", error, Path(f"/x/{RUN}/logs/build/libfuse.log"), compiler="gcc 4:12.2.0-3"))
    assert record.verdict
    (finding,) = record.verdict.findings
    patch = PatchRef(component="libfuse", message_id="libfuse.2@example.org", number=2, total=3, commit="e5" * 20,
                     subject="[PATCH 2/3] libfuse: step 2")  # fmt: skip
    found = record.verdict.model_copy(update={"findings": (finding.model_copy(update={"patch": patch}),)})
    return record.model_copy(update={"verdict": found})


def with_remarks() -> Review:
    """Every patch builds, and one lacks a Signed-off-by."""
    clean = review_clean()
    first, *others = clean.patches
    return clean.model_copy(update={"patches": (first.model_copy(update={"findings": (SIGNED, LONG)}), *others)})


def looked_at() -> Record:
    """A review without builds."""
    clean = review_clean()
    patches = tuple(patch.model_copy(update={"build": None}) for patch in clean.patches)
    return reviewed(clean.model_copy(update={"patches": patches}))


RECORDS: dict[str, Callable[[], Record]] = {
    "regression": compared, "pass": passing, "counted": counted, "fail": failing, "does-not-apply": unapplied,
    "review-errors": lambda: reviewed(review_with_errors()), "review-clean": lambda: reviewed(review_clean()),
    "pass-reviewed": passing_with_review, "build-fails": unbuilt, "remarks": lambda: reviewed(with_remarks()),
    "reviewed": looked_at,
    "blocked": lambda: stopped(Blocked("libfuse: 1 of 3 patches is missing: 2", hint="it may still arrive"), None),
    "infra": lambda: stopped(InfraError("no space left on the device", hint="`reviewbot gc` frees space")),
}  # fmt: skip
GOLDEN = Path(__file__).parent / "golden"
