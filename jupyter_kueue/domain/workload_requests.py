"""What a Workload requests: the amounts that Kueue compares with quotas, and those a user chose.

Pure. Sources: Kubernetes, "Pod resource requests" (sidecars are added to the containers, of init
containers the largest counts, overhead is added); kueue pkg/workload/workload.go,
totalRequestsFromPodSets.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import quantities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]
Amounts = dict[str, Decimal]


def total(pod_sets: Iterable[Json]) -> Amounts:
    """Return what all pods of a Workload request together, in base units.

    Raises:
        ValueError: an amount is invalid.
    """
    found: Amounts = {}
    for pod_set in pod_sets:
        count = pod_set.get("count", 1)
        requests = _of_pod(pod_set["template"]["spec"])
        _add(found, {name: amount * count for name, amount in requests.items()})
    return found


def of_notebook(pod_sets: Iterable[Json]) -> Amounts:
    """Return the requests of the notebook's container, empty if there is none.

    Raises:
        ValueError: an amount is invalid.
    """
    for pod_set in pod_sets:
        for container in pod_set["template"]["spec"].get("containers") or []:
            if container.get("name") == pod_contract.NOTEBOOK:
                return _requests(container)
    return {}


def _of_pod(spec: Json) -> Amounts:
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or []:
        requests = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, requests)
            continue
        while_it_runs = dict(sidecars)
        _add(while_it_runs, requests)
        largest = _largest(largest, while_it_runs)
    running = sidecars
    for container in spec.get("containers") or []:
        _add(running, _requests(container))
    found = _largest(running, largest)
    _add(found, _amounts(spec.get("overhead")))
    return found


def _requests(container: Json) -> Amounts:
    """Return a container's requests; a limit without a request counts as the request."""
    resources = container.get("resources") or {}
    return {**_amounts(resources.get("limits")), **_amounts(resources.get("requests"))}


def _amounts(quantities_by_name: Mapping[str, str] | None) -> Amounts:
    return {name: quantities.reported(text) for name, text in (quantities_by_name or {}).items()}


def _add(to: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        to[name] = to.get(name, Decimal(0)) + amount


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {
        name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0)))
        for name in {**one, **other}
    }
