"""The local cluster's own error, based on the product's errors."""

from __future__ import annotations

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain.errors import JupyterKueueError


class LocalClusterError(JupyterKueueError):
    """The local cluster cannot do what was requested; its command line says why, in English."""

    reason = "local-cluster"

    def __init__(self, message: str) -> None:
        super().__init__(foreign(message))
