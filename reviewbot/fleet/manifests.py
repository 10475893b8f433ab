# SPDX-License-Identifier: GPL-2.0-or-later
"""What Kubernetes is asked to make of a batch. Pure."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from reviewbot.fleet.engine import Batch
from reviewbot.model.fleet import KubernetesEngine

LABELS = {"app.kubernetes.io/name": "reviewbot-shard", "app.kubernetes.io/managed-by": "reviewbot"}
POLICY = "reviewbot-shards"
CONTAINER = "worker"
KEPT = 24 * 3600
"""Seconds that a Job is there after its end, for a host that comes late."""
AGAIN_AT_ONCE = 1
"""How often Kubernetes itself starts a shard again whose machines were lost, or whose host was short of memory."""
_SCRIPT = """\
set -- $SHARDS
shift "$JOB_COMPLETION_INDEX"
sleep "$((JOB_COMPLETION_INDEX % SPREAD))"
exec reviewbot run-shard "sha256:$1" --store "$STORE" --output /pod/result.json --pack
"""


def job(batch: Batch, settings: KubernetesEngine, store: str) -> dict[str, Any]:
    """An index per shard. Our exit statuses decide: 4 may be tried again, 1 to 3 may not, a drained node counts not."""
    count = len(batch.shards)
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailIndex", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [1, 2, 3]}},
        {"action": "Count", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [4]}},
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": batch.name, "namespace": settings.namespace, "labels": LABELS},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": min(count, settings.parallel),
            "backoffLimitPerIndex": AGAIN_AT_ONCE,
            "podFailurePolicy": {"rules": rules},
            "ttlSecondsAfterFinished": KEPT,
            "template": {
                "metadata": {"labels": LABELS},
                "spec": pod(batch, settings, store),
            },
        },
    }


def pod(batch: Batch, settings: KubernetesEngine, store: str) -> dict[str, Any]:
    """No rights at the API, no host namespaces, a root that is nobody on the node; it may mount, for QEMU's box."""
    room = {"cpu": settings.cpu, "memory": settings.memory, "ephemeral-storage": settings.disk}
    limits = {**room, **({settings.kvm: "1"} if settings.kvm else {})}
    environment = {
        "SHARDS": " ".join(batch.objects),
        "STORE": store,
        "SPREAD": str(1 + min(30, len(batch.shards) // 8)),
        "HOME": "/pod",
        "REVIEWBOT_CACHE": "/pod/cache",
        "REVIEWBOT_DATA": "/pod/data",
    }
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": max(600, round(batch.seconds)),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostUsers": False,
        "nodeSelector": settings.kinds.get(batch.kind, {}),
        **({"affinity": _not_on(batch.avoid)} if batch.avoid else {}),
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.image,
                "command": ["/bin/sh", "-c", _SCRIPT],
                "env": [{"name": name, "value": value} for name, value in environment.items()],
                "resources": {"requests": limits, "limits": limits},
                "securityContext": {
                    "privileged": False,
                    "readOnlyRootFilesystem": True,
                    "procMount": "Unmasked",
                    "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "KILL", "SETGID", "SETUID", "SYS_ADMIN"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "appArmorProfile": {"type": "Unconfined"},
                },
                "volumeMounts": [{"name": "work", "mountPath": "/pod"}, {"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [
            {"name": "work", "emptyDir": {"sizeLimit": settings.disk}},
            {"name": "tmp", "emptyDir": {"sizeLimit": settings.disk}},
        ],
    }


def _not_on(hosts: Sequence[str]) -> dict[str, Any]:
    """Better not on these nodes: if there are no others, on them all the same."""
    away = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": list(hosts)}]}
    preferred = [{"weight": 100, "preference": away}]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def network_policy(settings: KubernetesEngine, store: str, addresses: Sequence[str]) -> dict[str, Any]:
    """Pods of shards hear nobody, and speak to the store alone. addresses: of the store's host."""
    place = urlsplit(store)
    port = place.port or (443 if place.scheme == "https" else 80)
    networks = settings.egress or tuple(str(ipaddress.ip_network(address)) for address in addresses)
    names = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": settings.namespace, "labels": LABELS},
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [
                {
                    "to": [{"ipBlock": {"cidr": network}} for network in networks],
                    "ports": [{"protocol": "TCP", "port": port}],
                },
                {
                    "to": [names],
                    "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
                },
            ],
        },
    }
