# SPDX-License-Identifier: GPL-2.0-or-later
"""What GitHub's runners do with a workflow, on this machine: jobs by their needs, steps in order, files, artifacts."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|!|\(|\)|[\w.-]+)")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass
class Expression:
    """A value of GitHub's language of expressions, as far as our workflows use it."""

    context: dict[str, Any]
    functions: dict[str, Callable[..., Any]]
    tokens: list[str] = field(default_factory=list)

    def value(self, text: str) -> Any:
        self.tokens = _TOKEN.findall(text)
        assert "".join(self.tokens).replace(" ", "") == re.sub(r"\s", "", text), f"not understood: {text}"
        found = self._either()
        assert not self.tokens, text
        return found

    def _either(self) -> Any:
        left = self._both()
        while self._next("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:
        left = self._compared()
        while self._next("&&"):
            right = self._compared()
            left = left and right
        return left

    def _compared(self) -> Any:
        left = self._one()
        if self._next("=="):
            return left == self._one()
        return left != self._one() if self._next("!=") else left

    def _one(self) -> Any:
        if self._next("!"):
            return not self._one()
        if self._next("("):
            found = self._either()
            assert self._next(")")
            return found
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._next("("):
            given = [] if self.tokens[0] == ")" else [self._either()]
            assert self._next(")")
            return self.functions[token](*given)
        found = self.context
        for part in token.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        return found

    def _next(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False


@dataclass
class JobResult:
    """What became of a job: GitHub's word, its outputs, what its steps printed."""

    result: str
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    done: list[str] = field(default_factory=list)
    """Names of the steps that ran."""


@dataclass
class RunnerHost:
    """A place for the jobs of one workflow. Each job begins with an empty workspace."""

    root: Path
    tools: Path
    """Folder of programs that stand before those of this machine."""
    inputs: dict[str, Any]
    variables: dict[str, str]
    checkout: dict[str, str] = field(default_factory=dict)
    """Files of the repository that the workflow is in: name -> text."""
    attempt: int = 1

    def run(self, workflow: dict[Any, Any]) -> dict[str, JobResult]:
        """All jobs; a job of a matrix is named `shard (VALUE)`, and the sum of them `shard`."""
        found: dict[str, JobResult] = {}
        for name, job in workflow["jobs"].items():
            needs = job.get("needs", [])
            results = {need: found[need] for need in ([needs] if isinstance(needs, str) else needs)}
            context = self._context(results)
            condition = str(job.get("if", "success()"))
            if not self._holds(condition, context, all(one.result == "success" for one in results.values())):
                found[name] = JobResult("skipped")
                continue
            matrix = self._fill(job.get("strategy", {}).get("matrix", {}), context)
            if not matrix:
                found[name] = self._job(name, workflow, job, context)
                continue
            ((key, values),) = matrix.items()
            parts = [
                self._job(f"{name} ({value})", workflow, job, {**context, "matrix": {key: value}}) for value in values
            ]
            found |= {f"{name} ({value})": part for value, part in zip(values, parts, strict=True)}
            found[name] = JobResult("success" if all(one.result == "success" for one in parts) else "failure")
        return found

    def again(self, workflow: dict[Any, Any], name: str, before: dict[str, JobResult]) -> JobResult:
        """One job of a run once more, after the others are done: artifacts stay, the attempt is a later one."""
        self.attempt += 1
        job = workflow["jobs"][name]
        needs = job.get("needs", [])
        context = self._context({need: before[need] for need in ([needs] if isinstance(needs, str) else needs)})
        return self._job(f"{name} {self.attempt}", workflow, job, context)

    def _context(self, needs: dict[str, JobResult]) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "vars": self.variables,
            "runner": {"os": "Linux"},
            "github": {"token": "ghs_CANARY", "run_attempt": str(self.attempt), "sha": "a" * 40, "ref": "main"},
            "needs": {name: {"result": one.result, "outputs": one.outputs} for name, one in needs.items()},
        }

    def _holds(self, condition: str, context: dict[str, Any], fine: bool) -> bool:
        text = condition.strip().removeprefix("${{").removesuffix("}}")
        functions = {"cancelled": lambda: False, "failure": lambda: not fine, "success": lambda: fine}
        holds = bool(Expression(context, functions).value(text))
        return holds and (fine or any(f"{name}()" in text for name in functions))

    def _fill(self, value: Any, context: dict[str, Any]) -> Any:
        """A value of the file with its expressions filled in; one that is nothing else keeps its kind."""
        if isinstance(value, dict):
            return {key: self._fill(one, context) for key, one in value.items()}
        if not isinstance(value, str):
            return value
        functions: dict[str, Callable[..., Any]] = {"fromJSON": json.loads}
        if whole := _EXPRESSION.fullmatch(value.strip()):
            return Expression(context, functions).value(whole[1])
        return _EXPRESSION.sub(lambda found: str(Expression(context, functions).value(found[1])), value)

    def _job(self, name: str, workflow: dict[Any, Any], job: dict[str, Any], context: dict[str, Any]) -> JobResult:
        place = self.root / re.sub(r"\W", "_", name)
        workspace = place / "workspace"
        for folder in (workspace, place / "temp", place / "opt"):
            folder.mkdir(parents=True)
        done, steps, fine = JobResult("success"), dict[str, Any](), True
        environment = {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "HOME": str(place),
            **self._fill(workflow.get("env", {}), context),
        }
        for step in job["steps"]:
            inside = {**context, "steps": steps}
            if not self._holds(str(step.get("if", "success()")), inside, fine):
                continue
            done.done.append(step["name"])
            ended = (
                self._uses(step, inside, workspace)
                if "uses" in step
                else self._script(step, inside, place, environment, done)
            )
            fine = fine and ended
            outputs = place / "output"
            if "id" in step:
                given = outputs.read_text().splitlines() if outputs.exists() else []
                cached = {"cache-hit": "true" if ended and "uses" in step and (workspace / "hit").exists() else ""}
                steps[step["id"]] = {"outputs": {**cached, **dict(line.split("=", 1) for line in given)}}
            outputs.unlink(missing_ok=True)
        done.result = "success" if fine else "failure"
        done.outputs = self._fill(job.get("outputs", {}), {**context, "steps": steps})
        return done

    def _script(
        self, step: dict[str, Any], context: dict[str, Any], place: Path, environment: dict[str, str], done: JobResult
    ) -> bool:
        files = {"OUTPUT": "output", "ENV": "env", "PATH": "path", "STEP_SUMMARY": "summary"}
        given = {f"GITHUB_{name}": str(place / file) for name, file in files.items()}
        for path in given.values():
            Path(path).touch()
        more = {name: str(value) for name, value in self._fill(step.get("env", {}), context).items()}
        script = step["run"].replace("/opt/reviewbot", str(place / "opt" / "reviewbot"))
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=place / "workspace",
            env={**environment, **given, **more, "GITHUB_WORKSPACE": str(place / "workspace"), "RUNNER_OS": "Linux",
                 "RUNNER_TEMP": str(place / "temp"), "GITHUB_REPOSITORY": "owner/name",
                 "GITHUB_SERVER_URL": "https://github.example.org", "GITHUB_RUN_ID": "17"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        done.log += ran.stdout
        done.summary = (place / "summary").read_text()
        for line in (place / "env").read_text().splitlines():
            environment |= dict([line.split("=", 1)])
        for line in (place / "path").read_text().splitlines():
            environment["PATH"] = f"{line}:{environment['PATH']}"
        (place / "env").unlink()
        (place / "path").unlink()
        return ran.returncode == 0

    def _uses(self, step: dict[str, Any], context: dict[str, Any], workspace: Path) -> bool:
        given = self._fill(step.get("with", {}), context)
        stored = self.root / "stored"
        match step["uses"].partition("@")[0]:
            case "actions/checkout":
                for name, text in self.checkout.items():
                    (workspace / name).write_text(text)
                return True
            case "actions/cache/restore":
                kept = stored / "cache" / given["key"]
                if kept.exists():
                    shutil.copytree(kept, workspace / given["path"])
                    (workspace / "hit").touch()
                return True
            case "actions/cache/save":
                shutil.copytree(workspace / given["path"], stored / "cache" / given["key"])
                return True
            case "actions/upload-artifact":
                source = workspace / given["path"].split("\n")[0]
                target = stored / "artifacts" / given["name"]
                if not source.exists():
                    return bool(given.get("if-no-files-found") == "ignore")
                if target.exists() and given.get("overwrite") is not True:
                    return False  # GitHub refuses a second artifact of one name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("latest"))
                return True
            case "actions/download-artifact":
                names = (
                    [given["name"]]
                    if "name" in given
                    else sorted(path.name for path in (stored / "artifacts").glob(given["pattern"]))
                )
                for name in names:
                    if not (stored / "artifacts" / name).is_dir():
                        return False
                    shutil.copytree(stored / "artifacts" / name, workspace / given["path"], dirs_exist_ok=True)
                return True
        raise AssertionError(f"an action that nobody plays: {step['uses']}")
