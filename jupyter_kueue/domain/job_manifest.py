"""The Job of a run, built from its record. Pure, so that tests can compare whole objects.

docs/architecture.md describes the pod and the reasons for its exit-code rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.domain import names, pod_limits, quantities
from jupyter_kueue.domain.pod_limits import PodLimits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_kueue.domain.kubernetes_manifests import (
        Container,
        EnvVar,
        JobManifest,
        JobManifestSpec,
        JobTemplate,
        PodFailureRule,
        PodSpec,
        PodTemplateOverlay,
        SecurityContext,
        TemplateMeta,
        Volume,
        VolumeMount,
    )
    from jupyter_kueue.domain.run_record import RunRecord, RunSpec

# A finished Job is deleted by the reconciler long before; this is the net under it.
_KEEP_FINISHED_SECONDS = 7 * 24 * 3600
# The run's own limit counts only the notebook's time. The Job's deadline is a safety net that
# leaves room for pulling, staging and the upload.
_DEADLINE_MARGIN_SECONDS = 3600

_TERMINATION_LOG = "/dev/termination-log"
_HEED_COMMAND = ["python", "-I", "-S", "-c", pod_contract.HEED_PROGRAM]

_CONTAINER_SECURITY: SecurityContext = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class PodPolicy:
    """What the admin decides about every pod.

    Attributes:
        runner_image: the image of the staging containers.
        bucket_secret: the Secret with the bucket's credential files, in the run's namespace.
        grace_period_seconds: between SIGTERM and SIGKILL.
        max_notebook_output_bytes: the limit of a notebook's outputs, and of its log.
        staging_cpu, staging_memory: the requests of the staging containers, as quantities.
        staging_memory_limit: the limit of each of them, including ``export``.
        staging_seconds: how long a pod waits for an unavailable bucket, at its start and its end.
        max_output_files, max_output_file_bytes, max_output_bytes: the limits of a notebook's files,
            and of its checkpoints: their number, the bytes of one, the bytes of all.
        max_evictions: how often nodes may evict a run.
        limits: the CPU and disk limits of the containers.
        run_as_user, run_as_group: one numeric identity for all containers, so that images that name
            their user or run as root can share the volumes.
        template: merged into the pod's spec (nodeSelector, tolerations, imagePullSecrets, ...); its
            lists are appended, and it cannot change the containers' commands.
    """

    runner_image: str
    bucket_secret: str = names.BUCKET_SECRET
    grace_period_seconds: int = 30
    max_notebook_output_bytes: int = pod_contract.DEFAULT_MAX_NOTEBOOK_OUTPUT_BYTES
    staging_cpu: str = "50m"
    staging_memory: str = "128Mi"
    staging_memory_limit: str = "2Gi"
    staging_seconds: int = int(pod_contract.DEFAULT_STAGING_SECONDS)
    max_output_files: int = pod_contract.DEFAULT_MAX_OUTPUT_FILES
    max_output_file_bytes: int = pod_contract.DEFAULT_MAX_OUTPUT_FILE_BYTES
    max_output_bytes: int = pod_contract.DEFAULT_MAX_OUTPUT_BYTES
    max_evictions: int = pod_contract.DEFAULT_MAX_EVICTIONS
    limits: PodLimits = PodLimits()  # noqa: RUF009 - frozen itself
    run_as_user: int = 1000
    run_as_group: int = 100
    template: PodTemplateOverlay = field(default_factory=dict)


@dataclass(frozen=True)
class _Identity:
    """The run that a Job belongs to.

    Attributes:
        run_id: None for a CronJob's Jobs: the Job's uid is the run's id.
        revision: the schedule's revision that it is created from, None without a schedule.
    """

    run_id: str | None
    revision: str | None


def build_job(record: RunRecord, policy: PodPolicy) -> JobManifest:
    """Return the suspended Job of a run, ready to be created in its namespace."""
    job = _job(record, policy, _Identity(record.run_id, record.schedule_revision))
    job["metadata"]["name"] = names.job_name(record.run_id)
    return job


def build_job_template(spec: RunSpec, revision: str, policy: PodPolicy) -> JobTemplate:
    """Return what a CronJob makes its Jobs from (``jobTemplate``)."""
    job = _job(spec, policy, _Identity(None, revision))
    metadata: TemplateMeta = {
        "labels": job["metadata"]["labels"],
        "annotations": job["metadata"]["annotations"],
    }
    return {"metadata": metadata, "spec": job["spec"]}


def _job(run: RunSpec, policy: PodPolicy, identity: _Identity) -> JobManifest:
    labels = {
        **({names.LABEL_RUN_ID: identity.run_id} if identity.run_id else {}),
        names.LABEL_OWNER: run.owner.slug,
        names.LABEL_COMPONENT: names.COMPONENT_RUN,
        names.LABEL_NAME: "notebook-run",
        names.LABEL_PART_OF: names.PREFIX,
        names.LABEL_MANAGED_BY: names.PREFIX,
    }
    if run.schedule_id:
        labels[names.LABEL_SCHEDULE_ID] = run.schedule_id
    if identity.revision:
        labels[names.LABEL_REVISION] = identity.revision
    queue_labels = {names.KUEUE_QUEUE_NAME: run.local_queue}
    if run.priority_class:
        queue_labels[names.KUEUE_PRIORITY_CLASS] = run.priority_class
    spec: JobManifestSpec = {
        "suspend": True,
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": run.request.max_retries,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules()},
        "ttlSecondsAfterFinished": _KEEP_FINISHED_SECONDS,
        "template": {
            "metadata": {
                "labels": labels,
                # The default container of ``kubectl logs``.
                "annotations": {names.KUBECTL_DEFAULT_CONTAINER: pod_contract.NOTEBOOK},
            },
            "spec": _pod_spec(run, policy, identity),
        },
    }
    timeout = run.request.timeout_seconds
    if timeout:
        spec["activeDeadlineSeconds"] = timeout + _DEADLINE_MARGIN_SECONDS
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": run.namespace,
            "labels": {**labels, **queue_labels},
            "annotations": {
                names.ANNOTATION_NAME: run.name,
                names.ANNOTATION_OWNER: run.owner.name,
            },
        },
        "spec": spec,
    }


def _failure_rules() -> list[PodFailureRule]:
    return [
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        {
            "action": "Ignore",
            "onExitCodes": {"operator": "In", "values": [pod_contract.EXIT_INTERRUPTED]},
        },
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": pod_contract.NOTEBOOK,
                "operator": "In",
                "values": sorted(pod_contract.FAIL_JOB_EXIT_CODES),
            },
        },
    ]


def _pod_spec(run: RunSpec, policy: PodPolicy, identity: _Identity) -> PodSpec:
    exports = _exports(run)
    volumes = [*_VOLUMES, *(_EXPORT_VOLUMES if exports else [])]
    spec: PodSpec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": policy.grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": policy.run_as_user,
            "runAsGroup": policy.run_as_group,
            "fsGroup": policy.run_as_group,
        },
        # Both are sidecars, so that the environment is pulled and its kernel starts while the
        # inputs are fetched. The notebook waits for stage-in, so stage-in can use the notebook's
        # requests.
        "initContainers": [
            _sidecar(_with_requests(_stage_in(run, policy, identity), _NOTHING)),
            _sidecar(_stage_out(run, policy, identity, exports=exports)),
            # It works after the notebook has ended, so it can use the notebook's requests.
            *([_sidecar(_with_requests(_export(policy), _NOTHING))] if exports else []),
        ],
        "containers": [_notebook_container(run, policy, identity)],
        "volumes": [
            *(_empty_dir(volume) for volume in volumes),
            {"name": "bucket", "secret": {"secretName": policy.bucket_secret}},
        ],
    }
    return _merged(pod_limits.applied(spec, policy.limits), policy.template)


_NOTHING = {"cpu": "0", "memory": "0"}


def _sidecar(container: Container) -> Container:
    return {**container, "restartPolicy": "Always"}


def _with_requests(container: Container, requests: dict[str, str]) -> Container:
    return {**container, "resources": {**container["resources"], "requests": requests}}


def _empty_dir(volume: _Volume) -> Volume:
    return {"name": volume.name, "emptyDir": {}}


class _Volume(NamedTuple):
    """An emptyDir, its mount path, and which containers write to it or only read it."""

    name: str
    path: str
    writers: tuple[str, ...]
    readers: tuple[str, ...] = ()

    def mount(self, container: str) -> list[VolumeMount]:
        """Return its mount in a container, none where that has nothing to do with it."""
        if container in self.writers:
            return [{"name": self.name, "mountPath": self.path}]
        if container in self.readers:
            return [{"name": self.name, "mountPath": self.path, "readOnly": True}]
        return []


_STAGING = (pod_contract.STAGE_IN, pod_contract.STAGE_OUT)
_VOLUMES = (
    # Written by execute, and possibly forged by a notebook.
    _Volume(
        "control",
        pod_contract.CONTROL_MOUNT,
        (pod_contract.STAGE_OUT, pod_contract.NOTEBOOK),
        _STAGING,
    ),
    # Written by the staging containers, including the program for the notebook's container.
    _Volume("runner", pod_contract.RUNNER_MOUNT, _STAGING, (pod_contract.NOTEBOOK,)),
    _Volume(
        "workspace",
        pod_contract.WORKSPACE_MOUNT,
        (pod_contract.STAGE_IN, pod_contract.NOTEBOOK),
        (pod_contract.STAGE_OUT,),
    ),
    _Volume(
        "checkpoints",
        pod_contract.CHECKPOINT_MOUNT,
        (pod_contract.STAGE_IN, pod_contract.NOTEBOOK),
        (pod_contract.STAGE_OUT,),
    ),
    _Volume("scratch", pod_contract.SCRATCH_MOUNT, (pod_contract.NOTEBOOK,)),
)
_EXPORT_VOLUMES = (
    _Volume(
        "export-request",
        pod_contract.EXPORT_REQUEST_MOUNT,
        (pod_contract.STAGE_OUT,),
        (pod_contract.EXPORT,),
    ),
    _Volume("export", pod_contract.EXPORT_MOUNT, (pod_contract.EXPORT,), (pod_contract.STAGE_OUT,)),
)
_BUCKET_MOUNT: VolumeMount = {
    "name": "bucket",
    "mountPath": pod_contract.BUCKET_MOUNT,
    "readOnly": True,
}


def _mounts(container: str, volumes: Iterable[_Volume] = _VOLUMES) -> list[VolumeMount]:
    return [mount for volume in volumes for mount in volume.mount(container)]


def _exports(run: RunSpec) -> bool:
    """Return whether a run requests a format that needs an export."""
    formats = run.request.output_formats
    return any(wanted != pod_contract.NOTEBOOK_FORMAT for wanted in formats)


def _stage_in(run: RunSpec, policy: PodPolicy, identity: _Identity) -> Container:
    container = _staging_container(pod_contract.STAGE_IN, "stage_in", policy)
    container["env"] = [
        *_environment(run, policy, identity),
        *_staging_environment(policy),
        _value(pod_contract.ENV_MAX_EVICTIONS, str(policy.max_evictions)),
    ]
    container["volumeMounts"] = [*_mounts(pod_contract.STAGE_IN), _BUCKET_MOUNT]
    return container


def _stage_out(run: RunSpec, policy: PodPolicy, identity: _Identity, *, exports: bool) -> Container:
    volumes = [*_VOLUMES, *(_EXPORT_VOLUMES if exports else [])]
    container = _staging_container(pod_contract.STAGE_OUT, "stage_out", policy)
    container["env"] = [
        *_environment(run, policy, identity),
        *_staging_environment(policy),
        *(_export_environment() if exports else []),
        _value(pod_contract.ENV_MAX_OUTPUT_FILES, str(policy.max_output_files)),
        _value(pod_contract.ENV_MAX_OUTPUT_FILE_BYTES, str(policy.max_output_file_bytes)),
        _value(pod_contract.ENV_MAX_OUTPUT_BYTES, str(policy.max_output_bytes)),
        _value(pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES, str(policy.max_notebook_output_bytes)),
    ]
    container["volumeMounts"] = [*_mounts(pod_contract.STAGE_OUT, volumes), _BUCKET_MOUNT]
    return container


def _export(policy: PodPolicy) -> Container:
    """Return the container that runs what a notebook's author wrote: it gets nothing else."""
    container = _staging_container(pod_contract.EXPORT, "export", policy)
    container["command"] = ["python", "-I", *container["command"][1:]]
    container["env"] = [
        _value(pod_contract.ENV_RUNNER_IMAGE, policy.runner_image),
        _value(pod_contract.ENV_TERMINATION_LOG, _TERMINATION_LOG),
        *_export_environment(),
    ]
    container["volumeMounts"] = _mounts(pod_contract.EXPORT, _EXPORT_VOLUMES)
    return container


def _staging_container(name: str, module: str, policy: PodPolicy) -> Container:
    return {
        "name": name,
        "image": policy.runner_image,
        "command": ["python", "-c", pod_contract.STAGING_PROGRAM, module],
        "resources": {
            "requests": {"cpu": policy.staging_cpu, "memory": policy.staging_memory},
            "limits": {"memory": policy.staging_memory_limit},
        },
        "env": [],
        "volumeMounts": [],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _CONTAINER_SECURITY,
    }


def _staging_environment(policy: PodPolicy) -> list[EnvVar]:
    return [
        _value(pod_contract.ENV_RUNNER_IMAGE, policy.runner_image),
        _value(pod_contract.ENV_BUCKET_DIR, pod_contract.BUCKET_MOUNT),
        _value(pod_contract.ENV_STAGING_SECONDS, str(policy.staging_seconds)),
    ]


def _export_environment() -> list[EnvVar]:
    return [
        _value(pod_contract.ENV_EXPORT_REQUEST_DIR, pod_contract.EXPORT_REQUEST_MOUNT),
        _value(pod_contract.ENV_EXPORT_DIR, pod_contract.EXPORT_MOUNT),
    ]


def _value(name: str, value: str) -> EnvVar:
    return {"name": name, "value": value}


def _notebook_container(run: RunSpec, policy: PodPolicy, identity: _Identity) -> Container:
    wanted = run.resources
    limits = {"memory": wanted.memory}
    if wanted.gpus:
        limits[names.GPU_RESOURCE] = str(wanted.gpus)
    return {
        "name": pod_contract.NOTEBOOK,
        "image": run.image,
        "command": ["python", "-c", pod_contract.EXECUTE_PROGRAM],
        "env": [
            *_environment(run, policy, identity),
            {"name": pod_contract.ENV_SCRATCH_DIR, "value": pod_contract.SCRATCH_MOUNT},
            _user_value(pod_contract.ENV_NOTEBOOK, run.notebook),
            _user_value(
                pod_contract.ENV_KERNEL_NAME, run.kernel_name or pod_contract.DEFAULT_KERNEL
            ),
            {
                "name": pod_contract.ENV_MEMORY_LIMIT,
                "value": str(int(quantities.parse(wanted.memory))),
            },
            {
                "name": pod_contract.ENV_MAX_NOTEBOOK_OUTPUT_BYTES,
                "value": str(policy.max_notebook_output_bytes),
            },
        ],
        "resources": {"requests": {"cpu": wanted.cpu, **limits}, "limits": limits},
        "volumeMounts": _mounts(pod_contract.NOTEBOOK),
        "lifecycle": {"preStop": {"exec": {"command": _HEED_COMMAND}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _CONTAINER_SECURITY,
    }


def _environment(run: RunSpec, policy: PodPolicy, identity: _Identity) -> list[EnvVar]:
    values = {
        pod_contract.ENV_OWNER: run.owner.slug,
        pod_contract.ENV_NAMESPACE: run.namespace,
        pod_contract.ENV_LOCAL_QUEUE: run.local_queue,
        pod_contract.ENV_GRACE_PERIOD: str(policy.grace_period_seconds),
        pod_contract.ENV_CONTROL_DIR: pod_contract.CONTROL_MOUNT,
        pod_contract.ENV_WORKSPACE_DIR: pod_contract.WORKSPACE_MOUNT,
        pod_contract.ENV_RUNNER_DIR: pod_contract.RUNNER_MOUNT,
        pod_contract.ENV_CHECKPOINT_DIR: pod_contract.CHECKPOINT_MOUNT,
        pod_contract.ENV_TERMINATION_LOG: _TERMINATION_LOG,
    }
    return [
        *_identity_variables(run, identity),
        *(_value(name, value) for name, value in values.items()),
        _field(pod_contract.ENV_POD_UID, "metadata.uid"),
        _field(pod_contract.ENV_POD_NAME, "metadata.name"),
    ]


def _identity_variables(run: RunSpec, identity: _Identity) -> list[EnvVar]:
    if identity.run_id:
        return [{"name": pod_contract.ENV_RUN_ID, "value": identity.run_id}]
    return [
        _field(pod_contract.ENV_RUN_ID, f"metadata.labels['{names.BATCH_JOB_UID}']"),
        _field(pod_contract.ENV_JOB_NAME, f"metadata.labels['{names.BATCH_JOB_NAME}']"),
        _value(pod_contract.ENV_SCHEDULE_ID, run.schedule_id or ""),
        _value(pod_contract.ENV_SCHEDULE_REVISION, identity.revision or ""),
    ]


def _user_value(name: str, value: str) -> EnvVar:
    """Return a variable whose value may hold ``$(...)``, which Kubernetes would expand."""
    return {"name": name, "value": value.replace("$", "$$")}


def _field(name: str, path: str) -> EnvVar:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _merged(spec: PodSpec, template: PodTemplateOverlay) -> PodSpec:
    """Return ``spec`` with the admin's template laid over it; containers stay as they are."""
    merged: dict[str, Any] = {**spec}
    for key, value in template.items():
        if key in ("containers", "initContainers", "restartPolicy"):
            continue
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = {**old, **value}
        elif isinstance(old, list) and isinstance(value, list):
            merged[key] = [*old, *value]
        else:
            merged[key] = value
    return cast("PodSpec", merged)
