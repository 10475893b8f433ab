# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite's step that is a fork of the agent differs in nothing from one that is a new interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.host.data import data_path

AGENT = """
import json, os, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from start import start
secret = os.open("/etc/passwd", os.O_RDONLY)
os.environ["ONLY_THE_AGENTS"] = "1"
reader, writer = os.pipe()
pid = start(json.loads(sys.argv[3]), json.loads(sys.argv[4]), writer)
os.close(writer)
said = b""
while block := os.read(reader, 65536):
    said += block
print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "said": said.decode("utf-8", "replace")}))
"""
SUITE = r"""
import json, os, signal, subprocess, sys

def state(words):
    print(json.dumps({
        "argv": [sys.argv[0].rsplit("/", 1)[1], *sys.argv[1:]], "words": words, "cwd": os.getcwd(),
        "environ": dict(os.environ), "leads a session": os.getsid(0) == os.getpid(),
        "files": [name for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)],
        "stdin": sys.stdin.read(), "cached": sys.pycache_prefix,
        "output": [sys.stdout.encoding, sys.stdout.errors, sys.stderr.encoding, sys.stderr.errors],
        "child": subprocess.run(["sh", "-c", "yes | head -1; echo $LEG_NAME; ls /proc/self/fd | wc -l"],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout,
        "signals": [str(signal.getsignal(n)) for n in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM)],
    }, sort_keys=True))

def main(words):
    match words[0]:
        case "state":
            return state(words)
        case "number":
            return int(words[1])
        case "exit":
            sys.exit(words[1] if len(words) > 1 else None)
        case "raise":
            print("before")
            raise ValueError("wrong")
        case "bytes":
            print("caf\udcff")
            print("error \udcff", file=sys.stderr)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LEG_NAME": "fuse4fs", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with a suite `trial`."""
    (tmp_path / "trial.py").write_text(SUITE)
    (tmp_path / "run.py").write_bytes(data_path("qemu/suites/run.py").read_bytes())
    return tmp_path


def forked(suite: Path, *words: str) -> tuple[int, str]:
    """Exit status and output of the suite as the agent starts it."""
    return _started(suite, ["python3", "-S", "/stack/suites/run.py", *words])


def interpreted(suite: Path, *words: str) -> tuple[int, str]:
    """The same of a new interpreter."""
    return _started(suite, [sys.executable, "-S", str(suite / "run.py"), *words])


def _started(suite: Path, argv: list[str]) -> tuple[int, str]:
    modules = str(data_path("qemu/agent"))
    done = subprocess.run(
        [sys.executable, "-ISE", "-c", AGENT, str(suite), modules, json.dumps(argv), json.dumps(ENV)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["status"], told["said"]


def test_it_finds_what_a_new_interpreter_finds(suite: Path) -> None:
    status, said = forked(suite, "trial", "state", "x y")
    assert (status, json.loads(said)) == (0, json.loads(interpreted(suite, "trial", "state", "x y")[1]))
    found = json.loads(said)
    assert found["environ"] == ENV and found["leads a session"] and found["stdin"] == ""
    assert found["child"].splitlines()[:2] == ["y", "fuse4fs"], "nobody complains of a broken pipe"


ENDS = [("number", "77"), ("number", "256"), ("exit",), ("exit", "in words"), ("bytes",), ("killed",)]


@pytest.mark.parametrize("words", ENDS, ids="-".join)
def test_it_ends_as_a_new_interpreter_ends(suite: Path, words: tuple[str, ...]) -> None:
    assert forked(suite, "trial", *words) == interpreted(suite, "trial", *words)


def test_an_error_is_said_with_its_traceback(suite: Path) -> None:
    status, said = forked(suite, "trial", "raise")
    assert status == 1 and said.startswith("before\nTraceback") and said.endswith("ValueError: wrong\n")


def test_a_suite_that_does_not_exist_fails(suite: Path) -> None:
    status, said = forked(suite, "nothing")
    assert status == 1 and "No module named 'nothing'" in said


def test_a_program_that_does_not_exist_is_told_from_one_that_fails(suite: Path) -> None:
    with pytest.raises(AssertionError, match="FileNotFoundError"):
        _started(suite, ["/nothing"])
