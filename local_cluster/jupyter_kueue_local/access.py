"""Access to a local cluster: the node, and two users with a namespace each.

The roles are plain manifests next to this file, the same that an admin of another cluster would
apply.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from jupyter_kueue_local.state_folder import NAMESPACES

_MANIFESTS = Path(__file__).parent / "manifests"
_RBAC = "rbac.authorization.k8s.io"

# Kueue suspends Jobs without a queue in namespaces with this label.
QUEUE_REQUIRED = {"jupyter-kueue/queue-required": "true"}
# Whoever may create Jobs may run pods: without the first label even as root, with hostPath.
_USERS_NAMESPACE = {"pod-security.kubernetes.io/enforce": "restricted", **QUEUE_REQUIRED}


def access_objects() -> list[dict[str, Any]]:
    """Return the namespaces, roles and bindings."""
    objects: list[dict[str, Any]] = [
        users_namespace(namespace) for namespace in NAMESPACES.values()
    ]
    objects += _read("health-reader.yaml") + _read("node.yaml") + _read("quota-reader.yaml")
    objects.append(_binding("ClusterRole", "jupyter-kueue-quota-reader", list(NAMESPACES)))
    objects += _read("queue-required.yaml")
    version_reader = _read("kueue-version-reader.yaml")[0]
    objects += [version_reader, _role_binding(version_reader, list(NAMESPACES))]
    for user, namespace in NAMESPACES.items():
        objects += namespace_access(namespace, user)
    return objects


def users_namespace(name: str) -> dict[str, Any]:
    """Return a namespace whose users may run only ordinary pods, and Jobs only through Kueue."""
    metadata = {"name": name, "labels": dict(_USERS_NAMESPACE)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def namespace_access(namespace: str, user: str) -> list[dict[str, Any]]:
    """Return the Role of a namespace's users, and its binding to one user."""
    role = _read("namespace-user.yaml")[0]
    role["metadata"]["namespace"] = namespace
    return [role, _role_binding(role, [user])]


def _role_binding(role: dict[str, Any], users: list[str]) -> dict[str, Any]:
    binding = _binding("Role", role["metadata"]["name"], users)
    binding["metadata"]["namespace"] = role["metadata"]["namespace"]
    return binding


def _binding(kind: str, role: str, users: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        # Not the name in manifests/: applying those here then takes no permissions away.
        "metadata": {"name": f"{role}-local"},
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user} for user in users],
    }


def _read(manifest: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_MANIFESTS / manifest).read_text()))
