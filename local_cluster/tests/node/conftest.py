"""A namespace for the pods of each test file, on the cluster that all tests share."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local_cluster.tests.node.pods import Pods
from tests.support.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def pods(local_cluster: Any) -> Iterator[Pods]:
    """A namespace for the pods of one test file."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    local_cluster.kubectl("create", "namespace", name)
    made = Pods(local_cluster, name)
    # No pod is accepted before its service account is there.
    until(lambda: made.kubectl("get", "serviceaccounts", "default", "--ignore-not-found"))
    yield made
    made.kubectl("delete", "jobs,pods", "--all", "--grace-period=1", "--timeout=60s")
    local_cluster.kubectl("delete", "namespace", name, "--wait=false")
