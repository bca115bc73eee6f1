"""A cluster's API server over one kept connection, for what is done before and after each test.

A kubectl for each of it would take a tenth of a second of the processor: several hundred times.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
import yaml

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


class ApiServer:
    """Objects by the path of their collection, such as ``apis/batch/v1/namespaces/a/jobs``."""

    def __init__(self, folder: Path) -> None:
        """Connect as the administrator of the local cluster in ``folder``."""
        kubeconfig = yaml.safe_load((folder / "admin.kubeconfig").read_text())
        certificates = folder / "certificates"
        context = ssl.create_default_context(cafile=certificates / "cluster-ca.crt")
        context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
        server = kubeconfig["clusters"][0]["cluster"]["server"]
        self._client = httpx.Client(base_url=server, verify=context, trust_env=False)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def apply(self, collection: str, item: Json) -> None:
        """Create an object, or bring it to this state."""
        self._call(
            "PATCH",
            f"{collection}/{item['metadata']['name']}",
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=item,
        )

    def items(self, collection: str) -> list[Json]:
        found: list[Json] = self._call("GET", collection)["items"]
        return found

    def delete(self, path: str, **options: Any) -> None:
        """Delete an object, or all of a collection; what is gone is no error."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        self._call("DELETE", path, json=body)

    def _call(self, method: str, path: str, **request: Any) -> Json:
        answer = self._client.request(method, f"/{path}", **request)
        if method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        assert answer.is_success, f"{method} {path}: {answer.text}"
        body: Json = answer.json()
        return body
