"""Checks whether the parts of a cluster are ready, each in its own way.

A check answers within two seconds and never raises. Only the cluster's own authorities are trusted,
regardless of SSL_CERT_FILE and REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_kueue_local.certificates import NODE_NAME
from jupyter_kueue_local.node.gpu_devices import GPU_RESOURCE
from jupyter_kueue_local.object_store import BUCKET, filer_token

if TYPE_CHECKING:
    from jupyter_kueue_local.certificates import Certificates
    from jupyter_kueue_local.state_folder import Settings

_TIMEOUT_SECONDS = 2.0
_A_WEBHOOK = "/validate-batch-v1-job"
_POSITION_API = "/apis/visibility.kueue.x-k8s.io/v1beta2"


@dataclass(frozen=True)
class Readiness:
    """Checks of one cluster's parts."""

    certificates: Certificates
    settings: Settings

    def etcd(self) -> bool:
        """Whether etcd can commit."""
        answer = self._get("etcd", "/health", authority="etcd", client="etcd")
        return answer is not None and b'"true"' in answer

    def kube_apiserver(self) -> bool:
        """Whether the API server has started completely."""
        return self._get("kube-apiserver", "/readyz", client="admin") is not None

    def kube_controller_manager(self) -> bool:
        """Whether the controllers run."""
        return self._get("kube-controller-manager", "/healthz", client="admin") is not None

    def kube_scheduler(self) -> bool:
        """Whether the scheduler runs."""
        return self._get("kube-scheduler", "/healthz", client="admin") is not None

    def kueue(self) -> bool:
        """Whether Kueue serves its webhooks, which start last."""
        return self._get("kueue-webhook", _A_WEBHOOK, client="kueue-webhook") is not None

    def position_api(self) -> bool:
        """Whether the API server reaches Kueue's position API."""
        return self._get("kube-apiserver", _POSITION_API, client="admin") is not None

    def object_store(self) -> bool:
        """Whether the server answers, has the bucket, and has room for an object."""
        if self._get("object-store", "/healthz", plain=True) is None:
            return False
        token = {"Authorization": f"Bearer {filer_token(self.settings)}"}
        bucket = f"/buckets/{BUCKET}/?limit=1"
        own = "object-store"
        if not self._get("object-store-filer", bucket, authority=own, client=own, headers=token):
            return False
        status = self._get("object-store-master", "/dir/status", authority=own, client=own)
        topology = _json(status)
        return bool(topology.get("Topology", {}).get("Max", 0))

    def node(self) -> bool:
        """Whether the node agent answers and pods would be bound to its node."""
        answer = self._get("node", "/healthz", client="node-client")
        if answer is None:
            return False
        path = f"/api/v1/nodes/{NODE_NAME}"
        node = _json(self._get("kube-apiserver", path, client="admin"))
        gpus = node.get("status", {}).get("capacity", {}).get(GPU_RESOURCE)
        # After a kill, the Node still shows what an earlier agent reported.
        fresh = gpus == str(self.settings.gpus)
        return fresh and _has_condition(node, "Ready") and not node["spec"].get("taints")

    def established(self, definition: str) -> bool:
        """Whether the API server serves the objects of a CustomResourceDefinition."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}"
        found = _json(self._get("kube-apiserver", path, client="admin"))
        return _has_condition(found, "Established")

    def _get(
        self,
        port: str,
        path: str,
        *,
        authority: str = "cluster",
        client: str | None = None,
        plain: bool = False,
        headers: dict[str, str] | None = None,
    ) -> bytes | None:
        """Return the body of a successful answer, otherwise None."""
        connection: http.client.HTTPConnection
        if plain:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.settings.ports[port], timeout=_TIMEOUT_SECONDS
            )
        else:
            context = ssl.create_default_context(cafile=self.certificates.authority(authority))
            if client:
                context.load_cert_chain(
                    self.certificates.certificate(client), self.certificates.key(client)
                )
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.settings.ports[port], timeout=_TIMEOUT_SECONDS, context=context
            )
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == http.HTTPStatus.OK else None


def _json(body: bytes | None) -> dict[str, Any]:
    if body is None:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _has_condition(found: dict[str, Any], name: str) -> bool:
    # The list is null for an object that no controller has processed yet.
    conditions = found.get("status", {}).get("conditions") or []
    return any(c["type"] == name and c["status"] == "True" for c in conditions)
