"""The objects in the API server for a Kueue that runs outside the cluster.

They are made from Kueue's own manifests: resource types and user roles are unchanged, webhooks have
an address instead of a Service, and the position API is served through the API server's aggregator.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import yaml

from jupyter_kueue_local.building import KUEUE_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue_local.certificates import Certificates

NAMESPACE = "kueue-system"

# The webhooks for batch/v1 Jobs. Kueue's others are for frameworks that are not installed.
_WEBHOOKS = frozenset(
    f"{name}.kb.io"
    for name in (
        "mjob",
        "mworkload",
        "mclusterqueue",
        "mresourceflavor",
        "vjob",
        "vworkload",
        "vclusterqueue",
        "vresourceflavor",
        "vcohort",
    )
)
_ROLES = (
    "batch_",
    "clusterqueue_",
    "cohort_",
    "job_",
    "localqueue_",
    "pending_workloads_",
    "resourceflavor_",
    "topology_",
    "workload_",
)


def read_definitions(manifests: Path) -> list[dict[str, Any]]:
    """Return Kueue's CustomResourceDefinitions.

    They have no conversion webhook, so only the stored version, v1beta2, can be used.
    """
    files = sorted((manifests / "crd" / "bases").glob("*.yaml"))
    # The C loader, if available, is ten times faster: these are 20,000 lines.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [yaml.load(file.read_text(), loader) for file in files]  # noqa: S506 - both are safe


def installation_objects(
    manifests: Path, certificates: Certificates, ports: dict[str, int]
) -> list[dict[str, Any]]:
    """Return everything else: namespace, user roles, webhooks, position API and version."""
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _version(),
    ]
    for file in sorted((manifests / "rbac").glob("*.yaml")):
        if file.name.startswith(_ROLES):
            role = yaml.safe_load(file.read_text())
            # The names in Kueue's own kustomization.
            role["metadata"]["name"] = f"kueue-{role['metadata']['name']}"
            objects.append(role)
    webhooks = manifests / "webhook" / "manifests.yaml"
    authority = base64.b64encode(certificates.authority("cluster").read_bytes()).decode()
    objects += [
        _by_address(configuration, authority, ports["kueue-webhook"])
        for configuration in yaml.safe_load_all(webhooks.read_text())
    ]
    return objects + _position_api(ports["kueue-visibility"])


def _version() -> dict[str, Any]:
    """Return the Deployment that shows Kueue's version; here it has no pods."""
    labels = {"app.kubernetes.io/name": "kueue", "control-plane": "controller-manager"}
    image = f"registry.k8s.io/kueue/kueue:{KUEUE_VERSION}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "kueue-controller-manager",
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": {
                "jupyter-kueue/local": "Kueue runs as a process of the local cluster, not in a pod."
            },
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "manager", "image": image}]},
            },
        },
    }


def _by_address(configuration: dict[str, Any], authority: str, port: int) -> dict[str, Any]:
    kept = []
    for webhook in configuration["webhooks"]:
        if webhook["name"] not in _WEBHOOKS:
            continue
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {
            "url": f"https://127.0.0.1:{port}{path}",
            "caBundle": authority,
        }
        webhook["namespaceSelector"] = {
            "matchExpressions": [
                {
                    "key": "kubernetes.io/metadata.name",
                    "operator": "NotIn",
                    "values": ["kube-system", NAMESPACE],
                }
            ]
        }
        kept.append(webhook)
    return {
        **configuration,
        "metadata": {"name": f"kueue-{configuration['metadata']['name']}"},
        "webhooks": kept,
    }


def _position_api(port: int) -> list[dict[str, Any]]:
    """Return the APIService, and a Service that leads to loopback without a proxy."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kueue-visibility-server", "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta2.visibility.kueue.x-k8s.io"},
            "spec": {
                "group": "visibility.kueue.x-k8s.io",
                "version": "v1beta2",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                # Its certificate names localhost, but the aggregator expects a Service's name.
                "insecureSkipTLSVerify": True,
                "service": {
                    "name": "kueue-visibility-server",
                    "namespace": NAMESPACE,
                    "port": port,
                },
            },
        },
    ]
