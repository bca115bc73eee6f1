"""The Job of a run, compared as a whole: what is not written here is not in it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import job_manifest, run_request
from jupyter_kueue.domain.owner import Owner
from jupyter_kueue.domain.run_record import RunRecord
from jupyter_kueue.domain.run_request import Resources

RUN_ID = "6b4d3a66-93a1-4a52-9a3e-0b7d8a1c2f10"
POLICY = job_manifest.PodPolicy(runner_image="example.org/runner:1")


def record_of(resources: Resources | None = None, **request: Any) -> RunRecord:
    return RunRecord(
        run_id=RUN_ID,
        name="<b>Weekly 😀 1/2",
        owner=Owner.of("Ada@example.com"),
        namespace="team-a",
        created_at="2026-01-02T03:04:05.678Z",
        request=run_request.parse_run_request({"input_path": "a.ipynb", **request}),
        local_queue="research",
        resources=resources or Resources("2", "4Gi", 1),
        image="example.org/notebook:1",
        notebook="a.ipynb",
        input=(),
    )


OWNER = Owner.of("Ada@example.com").slug
LABELS = {
    "app.kubernetes.io/managed-by": "jupyter-kueue",
    "app.kubernetes.io/name": "notebook-run",
    "app.kubernetes.io/part-of": "jupyter-kueue",
    "jupyter-kueue/component": "run",
    "jupyter-kueue/run-id": RUN_ID,
    "jupyter-kueue/owner": OWNER,
}
ENV = [
    {"name": "JUPYTER_KUEUE_RUN_ID", "value": RUN_ID},
    {"name": "JUPYTER_KUEUE_OWNER", "value": OWNER},
    {"name": "JUPYTER_KUEUE_NAMESPACE", "value": "team-a"},
    {"name": "JUPYTER_KUEUE_LOCAL_QUEUE", "value": "research"},
    {"name": "JUPYTER_KUEUE_GRACE_PERIOD_SECONDS", "value": "30"},
    {"name": "JUPYTER_KUEUE_CONTROL_DIR", "value": "/jupyter-kueue/control"},
    {"name": "JUPYTER_KUEUE_WORKSPACE_DIR", "value": "/jupyter-kueue/workspace"},
    {"name": "JUPYTER_KUEUE_RUNNER_DIR", "value": "/jupyter-kueue/runner"},
    {"name": "CHECKPOINT_DIR", "value": "/jupyter-kueue/checkpoints"},
    {"name": "JUPYTER_KUEUE_TERMINATION_LOG", "value": "/dev/termination-log"},
    {
        "name": "JUPYTER_KUEUE_POD_UID",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}},
    },
    {
        "name": "JUPYTER_KUEUE_POD_NAME",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
    },
]
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
BUCKET_MOUNT = {"name": "bucket", "mountPath": "/jupyter-kueue/bucket", "readOnly": True}
STAGING_ENV = [
    {"name": "JUPYTER_KUEUE_RUNNER_IMAGE", "value": "example.org/runner:1"},
    {"name": "JUPYTER_KUEUE_BUCKET", "value": "/jupyter-kueue/bucket"},
    {"name": "JUPYTER_KUEUE_STAGING_SECONDS", "value": "300"},
]
LIMITS_ENV = [
    {"name": "JUPYTER_KUEUE_MAX_OUTPUT_FILES", "value": "10000"},
    {"name": "JUPYTER_KUEUE_MAX_OUTPUT_FILE_BYTES", "value": str(50 * 2**30)},
    {"name": "JUPYTER_KUEUE_MAX_OUTPUT_BYTES", "value": str(200 * 2**30)},
    {"name": "JUPYTER_KUEUE_MAX_NOTEBOOK_OUTPUT_BYTES", "value": str(100 * 2**20)},
]
EXPORT_ENV = [
    {"name": "JUPYTER_KUEUE_EXPORT_REQUEST_DIR", "value": "/jupyter-kueue/export-request"},
    {"name": "JUPYTER_KUEUE_EXPORT_DIR", "value": "/jupyter-kueue/export"},
]
NOTHING = {"cpu": "0", "memory": "0"}


def mount(name: str, *, read_only: bool = False) -> dict[str, Any]:
    """Return a mount of one of the pod's own volumes."""
    return {
        "name": name,
        "mountPath": f"/jupyter-kueue/{name}",
        **({"readOnly": True} if read_only else {}),
    }


def disk_limit(container: str, number: int | None = None) -> dict[str, Any]:
    """Return what tells the notebook how much a container may write, by whoever limits it."""
    field = {"containerName": container, "resource": "limits.ephemeral-storage", "divisor": "1"}
    return {
        "name": f"JUPYTER_KUEUE_DISK_LIMIT{f'_{number}' if number else ''}",
        "valueFrom": {"resourceFieldRef": field},
    }


def staging_container(name: str, module: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "example.org/runner:1",
        "command": ["python", "-c", pod_contract.STAGING_PROGRAM, module],
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"memory": "2Gi"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": SECURITY,
        "restartPolicy": "Always",
    }


EXPECTED = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": f"nb-{RUN_ID}",
        "namespace": "team-a",
        "labels": {**LABELS, "kueue.x-k8s.io/queue-name": "research"},
        "annotations": {
            "jupyter-kueue/display-name": "<b>Weekly 😀 1/2",
            "jupyter-kueue/owner-name": "Ada@example.com",
        },
    },
    "spec": {
        "suspend": True,
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [43]}},
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "notebook",
                        "operator": "In",
                        "values": [41, 42, 45, 47],
                    },
                },
            ]
        },
        "ttlSecondsAfterFinished": 7 * 24 * 3600,
        "template": {
            "metadata": {
                "labels": LABELS,
                "annotations": {"kubectl.kubernetes.io/default-container": "notebook"},
            },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 30,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "runAsGroup": 100,
                    "fsGroup": 100,
                },
                "initContainers": [
                    {
                        **staging_container("stage-in", "stage_in"),
                        "env": [
                            *ENV,
                            *STAGING_ENV,
                            {"name": "JUPYTER_KUEUE_MAX_EVICTIONS", "value": "3"},
                        ],
                        "resources": {"requests": NOTHING, "limits": {"memory": "2Gi"}},
                        "volumeMounts": [
                            mount("control", read_only=True),
                            mount("runner"),
                            mount("workspace"),
                            mount("checkpoints"),
                            BUCKET_MOUNT,
                        ],
                    },
                    {
                        **staging_container("stage-out", "stage_out"),
                        "env": [*ENV, *STAGING_ENV, *LIMITS_ENV],
                        "volumeMounts": [
                            mount("control"),
                            mount("runner"),
                            mount("workspace", read_only=True),
                            mount("checkpoints", read_only=True),
                            BUCKET_MOUNT,
                        ],
                    },
                ],
                "containers": [
                    {
                        "name": "notebook",
                        "image": "example.org/notebook:1",
                        "command": ["python", "-c", pod_contract.EXECUTE_PROGRAM],
                        "env": [
                            *ENV,
                            {"name": "SCRATCH_DIR", "value": "/jupyter-kueue/scratch"},
                            {"name": "JUPYTER_KUEUE_NOTEBOOK", "value": "a.ipynb"},
                            {"name": "JUPYTER_KUEUE_KERNEL_NAME", "value": "python3"},
                            {"name": "JUPYTER_KUEUE_MEMORY_LIMIT_BYTES", "value": str(4 * 2**30)},
                            {
                                "name": "JUPYTER_KUEUE_MAX_NOTEBOOK_OUTPUT_BYTES",
                                "value": str(100 * 2**20),
                            },
                            {"name": "JUPYTER_KUEUE_VOLUME_LIMITS", "value": "{}"},
                            disk_limit("stage-in", 1),
                            disk_limit("stage-out", 2),
                            disk_limit("notebook"),
                        ],
                        "resources": {
                            "requests": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
                            "limits": {"memory": "4Gi", "nvidia.com/gpu": "1"},
                        },
                        "volumeMounts": [
                            mount("control"),
                            mount("runner", read_only=True),
                            mount("workspace"),
                            mount("checkpoints"),
                            mount("scratch"),
                        ],
                        "lifecycle": {
                            "preStop": {
                                "exec": {
                                    "command": [
                                        "python",
                                        "-I",
                                        "-S",
                                        "-c",
                                        pod_contract.HEED_PROGRAM,
                                    ]
                                }
                            }
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "securityContext": SECURITY,
                    },
                ],
                "volumes": [
                    *(
                        {"name": name, "emptyDir": {}}
                        for name in ("control", "runner", "workspace", "checkpoints", "scratch")
                    ),
                    {"name": "bucket", "secret": {"secretName": "jupyter-kueue-bucket"}},
                ],
            },
        },
    },
}


def pod_spec(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def container(job: dict[str, Any], name: str) -> dict[str, Any]:
    spec = pod_spec(job)
    return next(
        item for item in [*spec["initContainers"], *spec["containers"]] if item["name"] == name
    )


def test_the_whole_job() -> None:
    assert job_manifest.build_job(record_of(), POLICY) == EXPECTED


def test_exports_have_a_container_without_bucket_credentials_or_the_notebooks_volumes() -> None:
    job = job_manifest.build_job(record_of(output_formats=["ipynb", "html"]), POLICY)
    assert container(job, "export") == {
        **staging_container("export", "export"),
        "command": ["python", "-I", "-c", pod_contract.STAGING_PROGRAM, "export"],
        "env": [
            {"name": "JUPYTER_KUEUE_RUNNER_IMAGE", "value": "example.org/runner:1"},
            {"name": "JUPYTER_KUEUE_TERMINATION_LOG", "value": "/dev/termination-log"},
            *EXPORT_ENV,
        ],
        "resources": {"requests": NOTHING, "limits": {"memory": "2Gi"}},
        "volumeMounts": [mount("export-request", read_only=True), mount("export")],
    }
    plain = container(EXPECTED, "stage-out")
    stage_out = container(job, "stage-out")
    own = [mount("export-request"), mount("export", read_only=True)]
    assert stage_out["env"] == [*ENV, *STAGING_ENV, *EXPORT_ENV, *LIMITS_ENV]
    assert stage_out["volumeMounts"] == [*plain["volumeMounts"][:-1], *own, BUCKET_MOUNT]
    assert container(job, "stage-in") == container(EXPECTED, "stage-in")
    notebook = container(EXPECTED, "notebook")
    others = [disk_limit("stage-out", 2), disk_limit("export", 3), disk_limit("notebook")]
    assert container(job, "notebook") == {**notebook, "env": [*notebook["env"][:-2], *others]}
    volumes = pod_spec(job)["volumes"]
    assert [one for one in volumes if one not in pod_spec(EXPECTED)["volumes"]] == [
        {"name": "export-request", "emptyDir": {}},
        {"name": "export", "emptyDir": {}},
    ]


@pytest.mark.parametrize("formats", [None, ["ipynb"]])
def test_a_run_without_exports_pays_for_none(formats: list[str] | None) -> None:
    request = {} if formats is None else {"output_formats": formats}
    assert job_manifest.build_job(record_of(**request), POLICY) == EXPECTED


@pytest.mark.parametrize("formats", [["ipynb"], ["html"]])
def test_what_the_staging_containers_tell_the_notebook_it_cannot_write(formats: list[str]) -> None:
    job = job_manifest.build_job(record_of(output_formats=formats), POLICY)
    notebook = container(job, "notebook")["volumeMounts"]
    runner = next(one for one in notebook if one["name"] == "runner")
    assert runner["readOnly"] is True
    # And what it writes, nobody writes back into once it runs.
    writable = {one["name"] for one in notebook if not one.get("readOnly")}
    stage_out = {
        one["name"]
        for one in container(job, "stage-out")["volumeMounts"]
        if not one.get("readOnly")
    }
    assert writable & stage_out == {"control"}


def test_building_twice_gives_the_same_job() -> None:
    record = record_of()
    assert job_manifest.build_job(record, POLICY) == job_manifest.build_job(record, POLICY)


def test_without_gpus_the_resource_is_not_named() -> None:
    job = job_manifest.build_job(record_of(Resources("500m", "1Gi", 0)), POLICY)
    assert container(job, "notebook")["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},
    }
    assert "nvidia.com/gpu" not in json.dumps(job)


@pytest.mark.parametrize("retries", [1, 100])
def test_retries_are_the_jobs_own(retries: int) -> None:
    job = job_manifest.build_job(record_of(max_retries=retries), POLICY)
    assert job["spec"]["backoffLimit"] == retries


def test_a_time_limit_has_the_deadline_as_a_net_an_hour_below_it() -> None:
    job = job_manifest.build_job(record_of(timeout_seconds=600), POLICY)
    assert job["spec"]["activeDeadlineSeconds"] == 600 + 3600


def test_priority_and_schedule_become_labels() -> None:
    record = dataclasses.replace(record_of(), priority_class="high", schedule_id="nightly")
    job = job_manifest.build_job(record, POLICY)
    assert job["metadata"]["labels"] == {
        **LABELS,
        "kueue.x-k8s.io/queue-name": "research",
        "kueue.x-k8s.io/priority-class": "high",
        "jupyter-kueue/schedule-id": "nightly",
    }
    assert job["spec"]["template"]["metadata"]["labels"] == {
        **LABELS,
        "jupyter-kueue/schedule-id": "nightly",
    }


def test_memory_in_any_form_reaches_the_runner_in_bytes() -> None:
    job = job_manifest.build_job(record_of(Resources("1", "1500M")), POLICY)
    assert {"name": "JUPYTER_KUEUE_MEMORY_LIMIT_BYTES", "value": "1500000000"} in container(
        job, "notebook"
    )["env"]


def test_a_path_with_a_dollar_reaches_execute_as_it_is() -> None:
    record = dataclasses.replace(record_of(), notebook="$(JUPYTER_KUEUE_OWNER).ipynb")
    # Kubernetes would put the owner there; a doubled dollar is one.
    assert {
        "name": "JUPYTER_KUEUE_NOTEBOOK",
        "value": "$$(JUPYTER_KUEUE_OWNER).ipynb",
    } in container(job_manifest.build_job(record, POLICY), "notebook")["env"]


def test_the_policy_reaches_every_container() -> None:
    policy = job_manifest.PodPolicy(
        runner_image="example.org/other:2",
        bucket_secret="elsewhere",
        grace_period_seconds=60,
        staging_cpu="1",
        staging_memory="1Gi",
        staging_memory_limit="8Gi",
        staging_seconds=60,
        max_output_files=1,
        max_output_file_bytes=2,
        max_output_bytes=3,
        run_as_user=2000,
        run_as_group=3000,
    )
    job = job_manifest.build_job(record_of(), policy)
    for name, cpu, memory in (("stage-in", "0", "0"), ("stage-out", "1", "1Gi")):
        assert container(job, name)["image"] == "example.org/other:2"
        assert container(job, name)["resources"] == {
            "requests": {"cpu": cpu, "memory": memory},
            "limits": {"memory": "8Gi"},
        }
    for name in ("stage-in", "stage-out", "notebook"):
        assert {"name": "JUPYTER_KUEUE_GRACE_PERIOD_SECONDS", "value": "60"} in container(
            job, name
        )["env"]
    for name in ("stage-in", "stage-out"):
        assert {"name": "JUPYTER_KUEUE_STAGING_SECONDS", "value": "60"} in container(job, name)[
            "env"
        ]
    assert [one["value"] for one in container(job, "stage-out")["env"][-4:-1]] == ["1", "2", "3"]
    spec = pod_spec(job)
    assert spec["terminationGracePeriodSeconds"] == 60
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 2000,
        "runAsGroup": 3000,
        "fsGroup": 3000,
    }
    assert {"name": "bucket", "secret": {"secretName": "elsewhere"}} in spec["volumes"]


def test_the_notebook_cannot_reach_the_bucket_or_the_cluster() -> None:
    job = job_manifest.build_job(record_of(), POLICY)
    notebook = container(job, "notebook")
    assert "bucket" not in json.dumps(notebook).lower()
    assert pod_spec(job)["automountServiceAccountToken"] is False


def test_no_value_of_a_request_becomes_part_of_a_command_or_the_environment() -> None:
    record = record_of(
        parameters={"token": "s3cret"}, tags=["s3cret"], idempotency_key="s3cret", name="s3cret"
    )
    assert "s3cret" not in json.dumps(job_manifest.build_job(record, POLICY))


def test_an_admins_template_is_laid_over_the_pod_but_not_its_containers() -> None:
    template = {
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "runner",
        "priorityClassName": "low",
        "securityContext": {"runAsUser": 5000, "supplementalGroups": [7]},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [{"name": "notebook", "command": ["sh"]}],
        "initContainers": [{"name": "evil", "image": "x", "command": ["sh"]}],
        "restartPolicy": "Always",
    }
    policy = job_manifest.PodPolicy(runner_image="example.org/runner:1", template=template)
    spec = pod_spec(job_manifest.build_job(record_of(), policy))
    plain = pod_spec(EXPECTED)
    assert spec == {
        **plain,
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccountName": "runner",
        "priorityClassName": "low",
        "securityContext": {
            **plain["securityContext"],
            "runAsUser": 5000,
            "supplementalGroups": [7],
        },
        "volumes": [*plain["volumes"], *template["volumes"]],
    }
    assert job_manifest.build_job(record_of(), POLICY) == EXPECTED  # the template left no trace
