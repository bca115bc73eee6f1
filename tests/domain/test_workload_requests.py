"""What a Workload requests, as Kubernetes and Kueue add it up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from jupyter_kueue.domain import workload_requests


def container(name: str, cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def pod_set(count: int = 1, **spec: Any) -> dict[str, Any]:
    return {"count": count, "template": {"spec": spec}}


def test_containers_and_sidecars_add_up_and_the_largest_init_container_counts() -> None:
    sidecar = container("stage-out", "50m", restartPolicy="Always")
    notebook = container("notebook", "1")
    small = [pod_set(initContainers=[sidecar, container("init", "500m")], containers=[notebook])]
    assert workload_requests.total(small) == {"cpu": Decimal("1.05")}
    large = [pod_set(initContainers=[sidecar, container("init", "2")], containers=[notebook])]
    assert workload_requests.total(large) == {"cpu": Decimal("2.05")}
    assert workload_requests.of_notebook(large) == {"cpu": Decimal(1)}


def test_pods_limits_and_overhead_count() -> None:
    limited = {"name": "notebook", "resources": {"limits": {"cpu": "2", "nvidia.com/gpu": "1"}}}
    sets = [
        pod_set(containers=[limited], overhead={"cpu": "250m"}),
        pod_set(3, containers=[container("worker", "1")]),
    ]
    assert workload_requests.total(sets) == {"cpu": Decimal("5.25"), "nvidia.com/gpu": Decimal(1)}
    assert workload_requests.of_notebook(sets) == {"cpu": Decimal(2), "nvidia.com/gpu": Decimal(1)}


def test_a_workload_without_a_notebook_or_requests() -> None:
    assert workload_requests.total([pod_set(containers=[{"name": "other"}])]) == {}
    assert workload_requests.of_notebook([pod_set(containers=[{"name": "other"}])]) == {}
    with pytest.raises(ValueError, match="not an amount"):
        workload_requests.total([pod_set(containers=[container("notebook", "many")])])
