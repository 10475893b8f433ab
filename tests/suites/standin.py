# SPDX-License-Identifier: GPL-2.0-or-later
"""The bones of fstests' `check`, with our scripts around them, on this machine."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reviewbot.config import load_stack
from reviewbot.host.data import data_path
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.suites import fstests

SCRIPTS, HELPERS = data_path("qemu/suites/fstests"), data_path("qemu/helpers")
LIMIT = 20.0
CHECK = r"""#!/bin/bash
. "$HOST_OPTIONS"
SRC_DIR=tests max_test_namelen=12 check=$RESULT_BASE/check
echo $$ >>starts
trap 'exit ${status:-1}' EXIT
_test_unmount() { echo unmounted >>unmounts; }
_scratch_unmount() { :; }
_run_seq() { "./$seq"; }
_check() {
	fsck -t $FSTYP -nf $1 >>"$seqres.full" 2>&1 && return
	echo "_check_generic_filesystem: filesystem on $1 is inconsistent"
	return 1
}
_check_test_fs() { [ -z "$TEST_DEV" ] || _check $TEST_DEV; }
_check_filesystems()
{
	local ret=0
	[ ! -f $RESULT_DIR/require_test ] || _check_test_fs || ret=1
	[ ! -f $RESULT_DIR/require_scratch ] || _check $SCRATCH_DEV || ret=1
	rm -f $RESULT_DIR/require_*
	return $ret
}
STASH() { case $2 in fail) bad+=("$1") ;; notrun) notrun+=("$1") ;; esac; }
run_section()
{
	local ix tc_status
	local -a _list=("$SRC_DIR/$1")
	echo "FSTYP         -- $1"
	for ((ix = 0; ix < ${#_list[*]}; ix++)); do
		seq=${_list[$ix]}
		export seqnum=${seq#$SRC_DIR/} RESULT_DIR=$RESULT_BASE/${seq#$SRC_DIR/}
		RESULT_DIR=${RESULT_DIR%/*} seqres=$RESULT_BASE/$seqnum tc_status=pass
		printf '%-12s' "$seqnum"
		mkdir -p "$RESULT_DIR"
		try+=("$seqnum")
		$LOGGER_PROG "run xfstest $seqnum"
		env >"$RESULT_DIR/env"
		_run_seq >"$seqres.full" 2>&1
		case $? in
		77) tc_status=notrun && echo -n "[not run] no such thing" ;;
		[1-9]*) tc_status=fail && rm -f "$RESULT_DIR/require_scratch" ;;
		esac
		echo
		[ $tc_status = notrun ] || (_check_filesystems) || tc_status=fail
		STASH "$seqnum" $tc_status
	done
	echo "Ran: ${try[*]}"
	[ ${#notrun[*]} = 0 ] || echo "Not run: ${notrun[*]}"
	[ ${#bad[*]} = 0 ] && echo "Passed all ${#try[*]} tests" || echo "Failures: ${bad[*]}"
	status=${#bad[*]}
}
try=() bad=() notrun=()
run_section "$1"
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A folder that stands for the guest's."""

    folder: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def test(self, name: str, script: str) -> None:
        path = self.tree / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def check(self, stash: str = "_stash_test_status") -> None:
        (self.tree / "check").write_text(CHECK.replace("STASH", stash))
        (self.tree / "check").chmod(0o755)

    def start(self, test: str) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "REVIEWBOT_RUN": str(self.folder),
            "REVIEWBOT_FSTESTS": str(self.tree),
            "REVIEWBOT_RESULTS": str(self.folder / "results"),
            "PATH": f"{HELPERS}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "LEG_MKFS_OPTIONS": "-O ^has_journal",
        }
        return subprocess.Popen(
            ["bash", SCRIPTS / "run", test],
            env=env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, test: str) -> tuple[Outcome, str]:
        """Its outcome and what was said."""
        result, said = self._run(test)
        return result.outcome, said

    def result(self, test: str) -> TestResult:
        return self._run(test)[0]

    def _run(self, test: str) -> tuple[TestResult, str]:
        child = self.start(test)
        said, _ = child.communicate(timeout=LIMIT)
        reply = StepReply(name=f"fstests/{test}", status="done", exit_status=child.returncode, output=said)
        return fstests.results(load_stack().leg("ext4"), [reply])[0], said

    def pids(self) -> list[int]:
        """Of each `check` so far."""
        path = self.tree / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []


@contextmanager
def stand_in(folder: Path, config: str = "") -> Iterator[Guest]:
    """A guest whose tests 001 and 003 pass, 002 is not run, 004 fails. config: lines for fstests' configuration."""
    found = Guest(folder)
    (folder / "fstests").mkdir()
    found.tree.mkdir()
    for name in ("turn", "end"):
        os.mkfifo(folder / "fstests" / name)
    (folder / "fstests.config").write_text(
        f'{config}\nexport LOGGER_PROG=true\n[ -z "$REVIEWBOT_TURN" ] || . {SCRIPTS / "turns"}\n'
    )
    found.check()
    for name, script in (("001", "echo one"), ("002", "exit 77"), ("003", "echo three"), ("004", "exit 1")):
        found.test(f"generic/{name}", script)
    yield found
    for pid in found.pids():
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for(path: Path) -> None:
    until = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.02)
