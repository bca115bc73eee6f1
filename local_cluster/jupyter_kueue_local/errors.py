"""The local cluster's own error, on top of the product's tree."""

from __future__ import annotations

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain.errors import JupyterKueueError


class LocalClusterError(JupyterKueueError):
    """The local cluster could not do what was asked: its command line alone says so, in English."""

    reason = "local-cluster"

    def __init__(self, message: str) -> None:
        super().__init__(foreign(message))
