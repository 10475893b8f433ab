# SPDX-License-Identifier: GPL-2.0-or-later
"""Write what GitHub's API wants of the requests that reviewbot makes, from GitHub's own description.

    npm pack @octokit/openapi && tar xf octokit-openapi-*.tgz
    python tools/github_openapi.py package/generated/api.github.com.deref.json > tests/post/github_openapi.json

The description is MIT-licensed. Descriptions stay, since some limits are said in words only.
"""

import json
import sys
from pathlib import Path

WANTED = {
    "/user": ("get",),
    "/repos/{owner}/{repo}/check-runs": ("post",),
    "/repos/{owner}/{repo}/check-runs/{check_run_id}": ("patch",),
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ("get",),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("patch",),
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches": ("post",),
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs": ("get",),
    "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs": ("get",),
    "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts": ("get",),
    "/repos/{owner}/{repo}/actions/runs/{run_id}/cancel": ("post",),
    "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}": ("get",),
}


def main() -> None:
    whole = json.loads(Path(sys.argv[1]).read_text())
    found: dict[str, object] = {"info": {"title": whole["info"]["title"], "version": whole["info"]["version"]}}
    paths: dict[str, dict[str, object]] = {}
    for path, methods in WANTED.items():
        for method in methods:
            operation = whole["paths"][path][method]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            parameters = (
                [
                    {key: one[key] for key in ("name", "in", "required", "schema") if key in one}
                    for one in operation["parameters"]
                ]
                if "parameters" in operation
                else []
            )
            paths.setdefault(path, {})[method] = {"parameters": parameters, "body": body}
    sys.stdout.write(json.dumps({**found, "paths": paths}, indent=1) + "\n")


main()
