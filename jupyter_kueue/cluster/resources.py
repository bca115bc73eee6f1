"""The paths of the collections that this package uses.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

VISIBILITY = "/apis/visibility.kueue.x-k8s.io/v1beta2"
# The namespace in Kueue's own manifests.
KUEUE_NAMESPACE = "kueue-system"
KUEUE_DEPLOYMENT = "kueue-controller-manager"


def jobs(namespace: str) -> str:
    """Return the path of the Jobs of a namespace."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def cron_jobs(namespace: str) -> str:
    """Return the path of the CronJobs of a namespace."""
    return f"/apis/batch/v1/namespaces/{namespace}/cronjobs"


def pods(namespace: str) -> str:
    """Return the path of the Pods of a namespace."""
    return f"/api/v1/namespaces/{namespace}/pods"


def events(namespace: str) -> str:
    """Return the path of the Events of a namespace."""
    return f"/api/v1/namespaces/{namespace}/events"


def config_maps(namespace: str) -> str:
    """Return the path of the ConfigMaps of a namespace."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


def workloads(namespace: str) -> str:
    """Return the path of Kueue's Workloads of a namespace."""
    return f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{namespace}/workloads"


def local_queues(namespace: str) -> str:
    """Return the path of Kueue's LocalQueues of a namespace."""
    return f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{namespace}/localqueues"


def cluster_queues() -> str:
    """Return the path of Kueue's ClusterQueues."""
    return "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"


def cohorts() -> str:
    """Return the path of Kueue's Cohorts."""
    return "/apis/kueue.x-k8s.io/v1beta2/cohorts"


def workload_priority_classes() -> str:
    """Return the path of Kueue's WorkloadPriorityClasses."""
    return "/apis/kueue.x-k8s.io/v1beta2/workloadpriorityclasses"


def kueue_deployment() -> str:
    """Return the path of the Deployment in Kueue's own manifests."""
    return f"/apis/apps/v1/namespaces/{KUEUE_NAMESPACE}/deployments/{KUEUE_DEPLOYMENT}"


def pending_workloads(namespace: str, local_queue: str) -> str:
    """Return the path of a LocalQueue's pending Workloads, in order (Kueue's position API)."""
    return f"{VISIBILITY}/namespaces/{namespace}/localqueues/{local_queue}/pendingworkloads"
