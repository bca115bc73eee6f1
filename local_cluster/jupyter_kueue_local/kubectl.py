"""Runs the cluster's own kubectl as its admin.

It never reads the user's kubeconfig or writes to the user's folders.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.errors import LocalClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_kueue_local.state_folder import StateFolder

FIELD_MANAGER = "jupyter-kueue-local"


def kubectl_environment(folder: StateFolder) -> dict[str, str]:
    """Return the environment in which kubectl acts as this cluster's admin."""
    return {
        **os.environ,
        "KUBECONFIG": str(folder.kubeconfig("admin")),
        "KUBECACHEDIR": str(folder.kubectl_cache),
    }


def run_kubectl(folder: StateFolder, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl and return its output.

    Raises:
        LocalClusterError: it failed; the message is kubectl's.
    """
    done = subprocess.run(
        [str(folder.programs / "kubectl"), *arguments],
        env=kubectl_environment(folder),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalClusterError(
            f"kubectl {' '.join(arguments[:3])} failed: {done.stderr.strip()} See "
            "`jupyter kueue local status`."
        )
    return done.stdout


def apply_objects(folder: StateFolder, objects: Sequence[dict[str, Any]]) -> None:
    """Create or update the objects (server-side apply; conflicts are overwritten)."""
    run_kubectl(
        folder,
        "apply",
        "--server-side",
        "--force-conflicts",
        "--validate=ignore",
        f"--field-manager={FIELD_MANAGER}",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}),
    )
