"""The Kubernetes and Kueue objects that are read, with the fields in use.

Pure. ``Kind.read_back`` checks an object against its type and returns these fields alone, so that
thousands of objects cost little memory. Whoever may write in the namespace may have written any of
them: the API server checks the fields it knows, and neither conditions nor labels are among these.

Sources: https://kubernetes.io/docs/reference/kubernetes-api/ (v1.35); kueue apis/kueue/v1beta2
(v0.19). An optional field that is empty is left out, never null (Go's ``omitempty``).
"""

from decimal import Decimal
from typing import Annotated, NotRequired

from pydantic import Strict
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from jupyter_kueue.domain.parsing import Kind
from jupyter_kueue.domain.stored_types import Count, Flag, Moment, Whole

Text = Annotated[str, Strict()]
# Amounts of resources by name, in base units: cores, bytes, devices.
Amounts = dict[str, Decimal]


class OwnerReference(TypedDict):
    """An object that this one belongs to."""

    uid: Text


class ObjectMeta(TypedDict):
    """What every object says of itself.

    ``deletionTimestamp`` includes the grace period: it is when the object is to be gone.
    """

    name: Text
    namespace: NotRequired[Text]
    uid: Text
    resourceVersion: Text
    creationTimestamp: Moment
    deletionTimestamp: NotRequired[Moment]
    labels: NotRequired[dict[Text, Text]]
    ownerReferences: NotRequired[list[OwnerReference]]


class Object(TypedDict):
    """Any object of a namespace."""

    metadata: ObjectMeta


class Condition(TypedDict):
    """One observation of a controller."""

    type: Text
    status: Text
    reason: NotRequired[Text]
    message: NotRequired[Text]
    lastTransitionTime: NotRequired[Moment]


# --- batch/v1 -----------------------------------------------------------------------------------


class JobSpec(TypedDict):
    """What is asked of a Job."""

    suspend: NotRequired[Flag]


class JobStatus(TypedDict):
    """How far a Job is."""

    conditions: NotRequired[list[Condition]]
    startTime: NotRequired[Moment]


class Job(Object):
    """A Job."""

    spec: JobSpec
    status: NotRequired[JobStatus]


class CronJobSpec(TypedDict):
    """When a CronJob fires."""

    schedule: NotRequired[Text]
    timeZone: NotRequired[Text]
    concurrencyPolicy: NotRequired[Text]
    startingDeadlineSeconds: NotRequired[Whole]
    suspend: NotRequired[Flag]


class CronJobStatus(TypedDict):
    """When a CronJob fired."""

    lastScheduleTime: NotRequired[Moment]


class CronJobMeta(ObjectMeta):
    """What a CronJob says of itself."""

    annotations: NotRequired[dict[Text, Text]]


class CronJob(TypedDict):
    """A CronJob."""

    metadata: CronJobMeta
    spec: CronJobSpec
    status: NotRequired[CronJobStatus]


# --- v1 -----------------------------------------------------------------------------------------


class ContainerStateRunning(TypedDict):
    """A container that runs."""

    startedAt: NotRequired[Moment]


class ContainerStateWaiting(TypedDict):
    """Why a container does not run yet."""

    reason: NotRequired[Text]
    message: NotRequired[Text]


class ContainerStateTerminated(TypedDict):
    """How a container ended."""

    exitCode: NotRequired[Whole]
    reason: NotRequired[Text]
    message: NotRequired[Text]
    startedAt: NotRequired[Moment]


class ContainerState(TypedDict, total=False):
    """One of three."""

    running: ContainerStateRunning
    waiting: ContainerStateWaiting
    terminated: ContainerStateTerminated


class ContainerStatus(TypedDict):
    """What the kubelet says of a container."""

    name: Text
    image: NotRequired[Text]
    state: NotRequired[ContainerState]
    lastState: NotRequired[ContainerState]


class PodSpec(TypedDict):
    """Where a pod runs."""

    nodeName: NotRequired[Text]


class PodStatus(TypedDict, total=False):
    """What the kubelet says of a pod."""

    phase: Text
    reason: Text
    message: Text
    conditions: list[Condition]
    initContainerStatuses: list[ContainerStatus]
    containerStatuses: list[ContainerStatus]
    startTime: Moment


class Pod(Object):
    """A pod."""

    spec: PodSpec
    status: NotRequired[PodStatus]


class EventSeries(TypedDict):
    """An event that is repeated."""

    lastObservedTime: NotRequired[Moment]


class ObjectReference(TypedDict, total=False):
    """What an event is about; ``fieldPath`` names a container as ``spec.containers{name}``."""

    fieldPath: Text


class EventMeta(TypedDict):
    """What an event says of itself."""

    creationTimestamp: Moment


class Event(TypedDict):
    """What a part of the cluster says of an object. Which times it has depends on that part."""

    metadata: EventMeta
    involvedObject: NotRequired[ObjectReference]
    type: NotRequired[Text]
    reason: NotRequired[Text]
    message: NotRequired[Text]
    firstTimestamp: NotRequired[Moment | None]
    lastTimestamp: NotRequired[Moment | None]
    eventTime: NotRequired[Moment | None]
    series: NotRequired[EventSeries | None]


# --- kueue.x-k8s.io/v1beta2 ---------------------------------------------------------------------


class RequeueState(TypedDict):
    """When an evicted Workload is queued again."""

    requeueAt: NotRequired[Moment]


class Evictions(TypedDict):
    """How often a Workload was evicted, of one kind."""

    count: NotRequired[Count]


class SchedulingStats(TypedDict):
    """What happened to a Workload so far."""

    evictions: NotRequired[list[Evictions]]


class ServedWorkloadSpec(TypedDict):
    """What is asked of Kueue."""

    queueName: NotRequired[Text]
    priority: NotRequired[Whole]
    active: NotRequired[Flag]


class WorkloadSpec(ServedWorkloadSpec):
    """The same, and its requests where these are readable, in place of the pod templates.

    ``requests`` is what all of its pods request, ``asked`` what the notebook alone does.
    """

    requests: NotRequired[Amounts]
    asked: NotRequired[Amounts]


class WorkloadStatus(TypedDict):
    """What Kueue says of a Workload."""

    conditions: NotRequired[list[Condition]]
    requeueState: NotRequired[RequeueState]
    schedulingStats: NotRequired[SchedulingStats]


class ServedWorkload(Object):
    """A Workload as it is served, without its pod templates."""

    spec: ServedWorkloadSpec
    status: NotRequired[WorkloadStatus]


class Workload(Object):
    """A Workload as it is kept."""

    spec: WorkloadSpec
    status: NotRequired[WorkloadStatus]


# A Kubernetes quantity: ``500m``, ``4Gi``, or a number.
Quantity = str | int | float


class ResourceReservation(TypedDict):
    """What is reserved of a resource of a flavor."""

    name: Text
    total: NotRequired[Quantity]
    borrowed: NotRequired[Quantity]


class FlavorReservation(TypedDict):
    """What is reserved of a flavor."""

    name: Text
    resources: NotRequired[list[ResourceReservation]]


class LocalQueueSpec(TypedDict):
    """Where a LocalQueue leads."""

    clusterQueue: Text
    stopPolicy: NotRequired[Text]


class LocalQueueStatus(TypedDict, total=False):
    """How full a LocalQueue is."""

    conditions: list[Condition]
    pendingWorkloads: Count
    admittedWorkloads: Count
    flavorsReservation: list[FlavorReservation]


class LocalQueue(Object):
    """A LocalQueue."""

    spec: LocalQueueSpec
    status: NotRequired[LocalQueueStatus]


class ResourceQuota(TypedDict):
    """A quota of one resource in one flavor."""

    name: Text
    nominalQuota: NotRequired[Quantity]
    borrowingLimit: NotRequired[Quantity]
    lendingLimit: NotRequired[Quantity]


class FlavorQuotas(TypedDict):
    """The quotas in one flavor."""

    name: Text
    resources: NotRequired[list[ResourceQuota]]


class ResourceGroup(TypedDict):
    """Resources that a pod gets from one flavor."""

    coveredResources: NotRequired[list[Text]]
    flavors: NotRequired[list[FlavorQuotas]]


class ClusterObjectMeta(TypedDict):
    """What an object of the whole cluster says of itself."""

    name: Text


class Preemption(TypedDict):
    """Whom a ClusterQueue's runs may evict."""

    reclaimWithinCohort: NotRequired[Text]


class ClusterQueueSpec(TypedDict):
    """Quotas, and how they are shared."""

    cohortName: NotRequired[Text]
    queueingStrategy: NotRequired[Text]
    preemption: NotRequired[Preemption]
    resourceGroups: NotRequired[list[ResourceGroup]]


class ClusterQueueStatus(TypedDict):
    """What is reserved of the quotas."""

    flavorsReservation: NotRequired[list[FlavorReservation]]


class ClusterQueue(TypedDict):
    """A ClusterQueue."""

    metadata: ClusterObjectMeta
    spec: ClusterQueueSpec
    status: NotRequired[ClusterQueueStatus]


class CohortSpec(TypedDict):
    """Quotas of a cohort itself, and the cohort above it."""

    parentName: NotRequired[Text]
    resourceGroups: NotRequired[list[ResourceGroup]]


class Cohort(TypedDict):
    """A Cohort."""

    metadata: ClusterObjectMeta
    spec: CohortSpec


OBJECT = Kind(Object)
JOB = Kind(Job)
CRON_JOB = Kind(CronJob)
POD = Kind(Pod)
EVENT = Kind(Event)
WORKLOAD = Kind(ServedWorkload)
LOCAL_QUEUE = Kind(LocalQueue)
CLUSTER_QUEUE = Kind(ClusterQueue)
COHORT = Kind(Cohort)
