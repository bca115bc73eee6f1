"""The kubeconfigs of a local cluster: one for each user, one for each part that is a client.

They are written at every start, because they contain the API server's port.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import yaml

from jupyter_kueue_local.state_folder import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_kueue_local.certificates import Certificates
    from jupyter_kueue_local.state_folder import Settings, StateFolder


def write_kubeconfigs(folder: StateFolder, settings: Settings, certificates: Certificates) -> None:
    """Write a kubeconfig for each user and each part that is a client of the API server."""
    users = {"admin": "default", "user": "default", "other": "other"}
    for part in ("kube-controller-manager", "kube-scheduler", "kueue", "node"):
        users[part] = "default"
    for user, namespace in users.items():
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "jupyter-kueue-local",
                    "cluster": {
                        "server": f"https://127.0.0.1:{settings.ports['kube-apiserver']}",
                        "certificate-authority-data": _encoded(certificates.authority("cluster")),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _encoded(certificates.certificate(user)),
                        "client-key-data": _encoded(certificates.key(user)),
                    },
                }
            ],
            "contexts": [
                {
                    "name": user,
                    "context": {
                        "cluster": "jupyter-kueue-local",
                        "user": user,
                        "namespace": namespace,
                    },
                }
            ],
            "current-context": user,
        }
        write_private(folder.kubeconfig(user), yaml.safe_dump(kubeconfig, sort_keys=False))


def write_webhook_client(path: Path, port: int, certificates: Certificates) -> None:
    """Write the API server's credentials for Kueue's webhooks on ``port``, as a kubeconfig.

    Its users are hosts
    (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers).
    """
    user = {
        "client-certificate-data": _encoded(certificates.certificate("kueue-webhook")),
        "client-key-data": _encoded(certificates.key("kueue-webhook")),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": f"127.0.0.1:{port}", "user": user}],
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False))


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
