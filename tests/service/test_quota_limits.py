"""What a ClusterQueue owns and could have at most, by Kueue's rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jupyter_kueue.service.queues.quota_limits import Quota, covered_resources, quotas

GPU = "nvidia.com/gpu"


def groups(**flavors: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "coveredResources": [GPU],
            "flavors": [
                {"name": name, "resources": [{"name": GPU, **quota}]}
                for name, quota in flavors.items()
            ],
        }
    ]


def queue(name: str, cohort: str | None = None, **flavors: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {"resourceGroups": groups(**flavors)}
    if cohort:
        spec["cohortName"] = cohort
    return {"metadata": {"name": name}, "spec": spec}


def cohort(name: str, parent: str | None = None, **flavors: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {"resourceGroups": groups(**flavors)}
    if parent:
        spec["parentName"] = parent
    return {"metadata": {"name": name}, "spec": spec}


def of(name: str, cluster_queues: list[Any], cohorts: list[Any] | None = None) -> Quota:
    return quotas(name, cluster_queues, [] if cohorts is None else cohorts)[GPU]


def gpus(name: str, cluster_queues: list[Any], cohorts: list[Any] | None = None) -> Any:
    """Return what it owns and could have at most."""
    found = of(name, cluster_queues, cohorts)
    return found.nominal, found.limit


def quota(nominal: int, limit: int | None) -> Any:
    return Decimal(nominal), None if limit is None else Decimal(limit)


def using(cluster_queue: dict[str, Any], **flavors: str) -> dict[str, Any]:
    reserved = [
        {"name": name, "resources": [{"name": GPU, "total": total}]}
        for name, total in flavors.items()
    ]
    return {**cluster_queue, "status": {"flavorsReservation": reserved}}


def test_a_queue_by_itself_has_what_it_owns():
    assert gpus("a", [queue("a", h100={"nominalQuota": "4"})]) == quota(4, 4)


def test_flavors_add_up():
    both = queue("a", h100={"nominalQuota": "4"}, t4={"nominalQuota": "8"})
    assert gpus("a", [both]) == quota(12, 12)


def test_a_cohort_lends_all_it_has():
    teams = [
        queue("a", "all", h100={"nominalQuota": "4"}),
        queue("b", "all", h100={"nominalQuota": "2"}),
        queue("c", "others", h100={"nominalQuota": "100"}),
    ]
    assert gpus("a", teams) == quota(4, 6)
    assert gpus("b", teams) == quota(2, 6)


def test_borrowing_and_lending_are_bounded():
    teams = [
        queue("a", "all", h100={"nominalQuota": "4", "borrowingLimit": "1"}),
        queue("b", "all", h100={"nominalQuota": "4", "lendingLimit": "3"}),
        queue("c", "all", h100={"nominalQuota": "0"}),
    ]
    assert gpus("a", teams) == quota(4, 5)
    assert gpus("b", teams) == quota(4, 8)
    assert gpus("c", teams) == quota(0, 7)


def test_cohorts_have_quotas_parents_and_limits_of_their_own():
    teams = [
        queue("a", "left", h100={"nominalQuota": "2"}),
        queue("b", "right", h100={"nominalQuota": "3"}),
    ]
    cohorts = [
        cohort("root", h100={"nominalQuota": "10"}),
        cohort("left", "root", h100={"nominalQuota": "1", "borrowingLimit": "5"}),
        cohort("right", "root", h100={"nominalQuota": "0", "lendingLimit": "1"}),
    ]
    # left owns 3 and may borrow 5; right gives 1 of its 3 away.
    assert gpus("a", teams, cohorts) == quota(2, 8)
    assert gpus("b", teams, cohorts) == quota(3, 16)


def test_a_ring_of_cohorts_does_not_go_round_for_ever():
    teams = [queue("a", "one", h100={"nominalQuota": "2"})]
    cohorts = [cohort("one", "two"), cohort("two", "one")]
    assert of("a", teams, cohorts).nominal == 2


def test_what_cannot_be_read_is_not_guessed():
    in_cohort = queue("a", "all", h100={"nominalQuota": "4"})
    assert quotas("a", [in_cohort], None)[GPU] == Quota(Decimal(4), None, None, None, None)
    alone = quotas("a", [queue("a", h100={"nominalQuota": "4"})], None)[GPU]
    assert (alone.nominal, alone.limit) == quota(4, 4)
    assert quotas("gone", [in_cohort], []) == {}


def test_covered_resources():
    assert covered_resources(queue("a", h100={"nominalQuota": "0"})) == {GPU}
    assert covered_resources({"metadata": {"name": "a"}, "spec": {}}) == frozenset()


def test_cohorts_nested_thousands_deep_take_one_pass():
    depth = 2_000
    chain = [
        cohort(f"c{level}", f"c{level - 1}" if level else None, h100={"lendingLimit": "1"})
        for level in range(depth)
    ]
    teams = [
        queue("deep", f"c{depth - 1}", h100={"nominalQuota": "4"}),
        queue("top", "c0", h100={"nominalQuota": "2"}),
    ]
    assert gpus("deep", teams, chain) == quota(4, 6)
    assert gpus("top", teams, chain) == quota(2, 3)


def reclaiming(cluster_queue: dict[str, Any]) -> dict[str, Any]:
    spec = {**cluster_queue["spec"], "preemption": {"reclaimWithinCohort": "Any"}}
    return {**cluster_queue, "spec": spec}


def now(name: str, cluster_queues: list[Any], cohorts: list[Any] | None = None) -> tuple[int, int]:
    """Return what is free for a queue, and what it could take back."""
    found = of(name, cluster_queues, cohorts)
    assert found.free is not None
    assert found.reclaimable is not None
    return int(found.free), int(found.reclaimable)


def test_what_is_lent_is_not_free_and_can_be_taken_back():
    teams = [
        using(queue("a", "all", h100={"nominalQuota": "2"}), h100="4"),
        reclaiming(queue("b", "all", h100={"nominalQuota": "2"})),
        queue("c", "all", h100={"nominalQuota": "0"}),
    ]
    assert now("a", teams) == (0, 0)
    assert now("b", teams) == (0, 2)
    assert now("c", teams) == (0, 0)


def test_what_is_free_heeds_use_lending_and_borrowing_limits():
    teams = [
        using(queue("a", "all", h100={"nominalQuota": "4", "borrowingLimit": "1"}), h100="4"),
        using(queue("b", "all", h100={"nominalQuota": "4", "lendingLimit": "3"}), h100="1"),
        using(reclaiming(queue("c", "all", h100={"nominalQuota": "3"})), h100="1"),
    ]
    assert now("a", teams) == (1, 0)
    # b keeps 1 for itself, which it uses; 3 + 2 are left of what b and c lend.
    assert now("b", teams) == (5, 0)
    assert now("c", teams) == (5, 0)


def test_what_is_free_in_nested_cohorts():
    teams = [
        using(queue("a", "left", h100={"nominalQuota": "2"}), h100="6"),
        using(reclaiming(queue("b", "right", h100={"nominalQuota": "3"})), h100="1"),
    ]
    cohorts = [
        cohort("root", h100={"nominalQuota": "3"}),
        cohort("left", "root", h100={"nominalQuota": "1", "borrowingLimit": "5"}),
        cohort("right", "root"),
    ]
    assert now("a", teams, cohorts) == (2, 0)
    assert now("b", teams, cohorts) == (2, 0)


def test_a_pod_gets_its_gpus_from_one_flavor():
    both = queue("a", h100={"nominalQuota": "4"}, t4={"nominalQuota": "8"})
    found = of("a", [using(both, h100="4", t4="2")])
    assert (found.limit, found.largest, found.free) == (12, 8, 6)


def test_more_in_use_than_there_is_leaves_nothing_free():
    assert now("a", [using(queue("a", h100={"nominalQuota": "4"}), h100="6")]) == (0, 0)
