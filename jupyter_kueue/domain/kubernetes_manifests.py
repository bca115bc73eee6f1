"""The Kubernetes objects that are built, with the fields in use.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/ (v1.35).
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class FieldReference(TypedDict):
    """A field of the pod."""

    fieldPath: str


class ContainerResourceReference(TypedDict):
    """A request or limit of one of the pod's containers."""

    containerName: str
    resource: str
    divisor: str


class EnvVarSource(TypedDict, total=False):
    """Where the kubelet takes a variable's value from; one of them."""

    fieldRef: FieldReference
    resourceFieldRef: ContainerResourceReference


class EnvVar(TypedDict):
    """A variable of a container's environment, with one of the two."""

    name: str
    value: NotRequired[str]
    valueFrom: NotRequired[EnvVarSource]


class VolumeMount(TypedDict):
    """Where a container sees a volume."""

    name: str
    mountPath: str
    readOnly: NotRequired[bool]


class EmptyDir(TypedDict):
    """A folder that lives as long as its pod."""

    sizeLimit: NotRequired[str]


class SecretSource(TypedDict):
    """A Secret's entries as files."""

    secretName: str


class Volume(TypedDict):
    """A volume of a pod, with one of the two."""

    name: str
    emptyDir: NotRequired[EmptyDir]
    secret: NotRequired[SecretSource]


class ResourceRequirements(TypedDict):
    """Quantities by resource."""

    requests: dict[str, str]
    limits: dict[str, str]


class SeccompProfile(TypedDict):
    """Which system calls a container may make."""

    type: str


class Capabilities(TypedDict):
    """Capabilities of a container's processes."""

    drop: list[str]


class SecurityContext(TypedDict):
    """What a container's processes may do."""

    allowPrivilegeEscalation: bool
    capabilities: Capabilities
    seccompProfile: SeccompProfile


class ExecAction(TypedDict):
    """A command that runs in a container."""

    command: list[str]


class LifecycleHandler(TypedDict):
    """What the kubelet does at a moment of a container's life."""

    exec: ExecAction


class Lifecycle(TypedDict):
    """Handlers by moment."""

    preStop: LifecycleHandler


class Container(TypedDict):
    """A container; one with ``restartPolicy`` Always among the init containers is a sidecar."""

    name: str
    image: str
    command: list[str]
    env: list[EnvVar]
    resources: ResourceRequirements
    volumeMounts: list[VolumeMount]
    terminationMessagePolicy: str
    securityContext: SecurityContext
    lifecycle: NotRequired[Lifecycle]
    restartPolicy: NotRequired[Literal["Always"]]


class PodSecurityContext(TypedDict):
    """Whose processes a pod's are."""

    runAsNonRoot: bool
    runAsUser: int
    runAsGroup: int
    fsGroup: int


class PodSpec(TypedDict):
    """A pod's specification. What an admin's ``pod_template`` adds to it is not listed here."""

    restartPolicy: Literal["Never"]
    automountServiceAccountToken: bool
    enableServiceLinks: bool
    terminationGracePeriodSeconds: int
    securityContext: PodSecurityContext
    initContainers: list[Container]
    containers: list[Container]
    volumes: list[Volume]


class TemplateMeta(TypedDict):
    """Labels and annotations of the objects that are made from a template."""

    labels: dict[str, str]
    annotations: dict[str, str]


class ManifestMeta(TemplateMeta):
    """What an object says of itself."""

    name: NotRequired[str]
    namespace: str
    resourceVersion: NotRequired[str]


class PodTemplate(TypedDict):
    """What a Job makes its pods from."""

    metadata: TemplateMeta
    spec: PodSpec


class PodConditionPattern(TypedDict):
    """A condition of a pod that has failed."""

    type: str
    status: str


class ExitCodes(TypedDict):
    """Exit codes of a container of a pod that has failed."""

    containerName: NotRequired[str]
    operator: Literal["In"]
    values: list[int]


class PodFailureRule(TypedDict):
    """What a Job does about a pod that has failed, on one of the two."""

    action: Literal["Ignore", "FailJob"]
    onPodConditions: NotRequired[list[PodConditionPattern]]
    onExitCodes: NotRequired[ExitCodes]


class PodFailurePolicy(TypedDict):
    """The first rule that matches counts."""

    rules: list[PodFailureRule]


class JobManifestSpec(TypedDict):
    """A Job's specification."""

    suspend: bool
    parallelism: int
    completions: int
    backoffLimit: int
    podReplacementPolicy: Literal["Failed"]
    podFailurePolicy: PodFailurePolicy
    ttlSecondsAfterFinished: int
    activeDeadlineSeconds: NotRequired[int]
    template: PodTemplate


class JobManifest(TypedDict):
    """A Job."""

    apiVersion: Literal["batch/v1"]
    kind: Literal["Job"]
    metadata: ManifestMeta
    spec: JobManifestSpec


class JobTemplate(TypedDict):
    """What a CronJob makes its Jobs from."""

    metadata: TemplateMeta
    spec: JobManifestSpec


class CronJobTiming(TypedDict):
    """The part of a CronJob's specification that says when it fires."""

    schedule: str
    timeZone: str
    concurrencyPolicy: str
    startingDeadlineSeconds: NotRequired[int]


class CronJobManifestSpec(CronJobTiming):
    """A CronJob's specification."""

    suspend: bool
    successfulJobsHistoryLimit: int
    failedJobsHistoryLimit: int
    jobTemplate: JobTemplate


class CronJobManifest(TypedDict):
    """A CronJob."""

    apiVersion: Literal["batch/v1"]
    kind: Literal["CronJob"]
    metadata: ManifestMeta
    spec: CronJobManifestSpec


# What an admin lays over each pod's specification: any field of it.
PodTemplateOverlay = dict[str, Any]
