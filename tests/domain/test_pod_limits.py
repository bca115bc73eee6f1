"""What an admin's limits do to a pod, compared as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_kueue import config
from jupyter_kueue.domain import errors, job_manifest
from jupyter_kueue.domain.pod_limits import PodLimits
from tests.domain.test_job_manifest import POLICY, container, pod_spec, record_of

Json = dict[str, Any]


def job_with(limits: PodLimits, **request: Any) -> Json:
    policy = job_manifest.PodPolicy(runner_image="example.org/runner:1", limits=limits)
    return job_manifest.build_job(record_of(**request), policy)


@pytest.mark.parametrize(
    ("factor", "notebook", "staging"), [(1, "2000m", "500m"), (2.5, "5000m", "500m")]
)
def test_every_container_has_a_cpu_limit_if_one_is_wanted(
    factor: float, notebook: str, staging: str
) -> None:
    job = job_with(PodLimits(cpu_limit=factor), output_formats=["html"])
    found = {
        one["name"]: one["resources"]["limits"]["cpu"]
        for one in [*pod_spec(job)["initContainers"], *pod_spec(job)["containers"]]
    }
    assert found == {
        "stage-in": staging,
        "stage-out": staging,
        "export": staging,
        "notebook": notebook,
    }
    assert container(job, "notebook")["resources"]["requests"]["cpu"] == "2"


def test_the_disk_of_a_pod_is_limited_at_its_notebook() -> None:
    job = job_with(PodLimits(ephemeral_storage_request="1Gi", ephemeral_storage_limit="10Gi"))
    for name, request, limit in (("notebook", "1Gi", "10Gi"), ("stage-in", "0", "0")):
        resources = container(job, name)["resources"]
        assert resources["requests"]["ephemeral-storage"] == request
        assert resources["limits"]["ephemeral-storage"] == limit


def test_volumes_have_sizes_and_the_notebook_is_told_of_them() -> None:
    sizes = (("workspace", "1Gi"), ("scratch", None), ("control", "500Mi"), ("export", "1Gi"))
    job = job_with(PodLimits(volume_sizes=sizes))
    found = {one["name"]: one.get("emptyDir") for one in pod_spec(job)["volumes"]}
    assert found == {
        "control": {"sizeLimit": "500Mi"},
        "runner": {},
        "workspace": {"sizeLimit": "1Gi"},
        "checkpoints": {},
        "scratch": {},
        "bucket": None,
    }
    env = {one["name"]: one.get("value") for one in container(job, "notebook")["env"]}
    assert env["JUPYTER_KUEUE_VOLUME_LIMITS"] == ('{"workspace": 1073741824, "control": 524288000}')


def test_without_limits_a_pod_has_none() -> None:
    job = job_manifest.build_job(record_of(), POLICY)
    text = str(pod_spec(job))
    assert "sizeLimit" not in text
    assert "'ephemeral-storage'" not in text


@pytest.mark.parametrize("size", ["much", "-1Gi", "0", "4 GB"])
def test_a_size_that_is_none_is_refused_by_name(size: str) -> None:
    environ = {"JUPYTER_KUEUE_SCRATCH_SIZE_LIMIT": size}
    with pytest.raises(errors.NotConfiguredError, match=r"SCRATCH_SIZE_LIMIT|scratch_size_limit"):
        config.load(None, environ)


def test_an_empty_size_is_no_limit() -> None:
    given = config.Config({"JupyterKueue": {"control_size_limit": ""}})
    assert config.load(given, {}).control_size_limit is None
    assert config.load(None, {}).control_size_limit == "4Gi"
