"""Names in the cluster and in the bucket: labels, annotations, object names, owner slugs.

Every label, annotation and generated name comes from here.
"""

from __future__ import annotations

import hashlib
import re
import uuid

PREFIX = "jupyter-kueue"
# For a run's name and a user's.
MAX_NAME_LENGTH = 255

# Labels on the Job and its pods.
LABEL_RUN_ID = f"{PREFIX}/run-id"
LABEL_OWNER = f"{PREFIX}/owner"
LABEL_SCHEDULE_ID = f"{PREFIX}/schedule-id"
LABEL_REVISION = f"{PREFIX}/revision"  # the schedule's revision that a Job was created from
LABEL_COMPONENT = f"{PREFIX}/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_NAME = "app.kubernetes.io/name"

COMPONENT_RUN = "run"
COMPONENT_SCHEDULE = "schedule"

# Annotations on the Job: free text that labels cannot hold.
ANNOTATION_OWNER = f"{PREFIX}/owner-name"
ANNOTATION_NAME = f"{PREFIX}/display-name"

# On a CronJob: a digest of the definition that was last applied.
ANNOTATION_DEFINITION = f"{PREFIX}/definition"

# Kueue's names (pkg/controller/constants/constants.go).
KUEUE_QUEUE_NAME = "kueue.x-k8s.io/queue-name"
KUEUE_PRIORITY_CLASS = "kueue.x-k8s.io/priority-class"
KUEUE_JOB_UID = "kueue.x-k8s.io/job-uid"
# kubectl's name (k8s.io/kubectl/pkg/cmd/util/podcmd).
KUBECTL_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
# Kubernetes' name (pkg/apis/batch/types.go).
BATCH_JOB_UID = "batch.kubernetes.io/controller-uid"
BATCH_JOB_NAME = "batch.kubernetes.io/job-name"

BUCKET_SECRET = "jupyter-kueue-bucket"  # noqa: S105 - the name of a Secret, not one
GPU_RESOURCE = "nvidia.com/gpu"

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCHEDULED_JOB = re.compile(r"nb-[0-9a-f-]{36}-([0-9]{1,12})")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

# The UUID namespace of ids derived from an idempotency key, so that a repeat finds its run.
_IDEMPOTENCY_NAMESPACE = uuid.UUID("6b4d3a66-93a1-5a52-9a3e-0b7d8a1c2f10")

_SLUG_LENGTH = 40  # with the hash well below a label's 63 characters


def new_run_id() -> str:
    """Return a new run id: a random uuid with hyphens, as jupyter-scheduler's routes require."""
    return str(uuid.uuid4())


def run_id_of_key(owner_slug: str, idempotency_key: str) -> str:
    """Return the run id derived from this owner's ``idempotency_key``."""
    return str(uuid.uuid5(_IDEMPOTENCY_NAMESPACE, f"{owner_slug}/{idempotency_key}"))


def schedule_id_of_key(owner_slug: str, idempotency_key: str) -> str:
    """Return the schedule id derived from this owner's ``idempotency_key``."""
    return str(uuid.uuid5(_IDEMPOTENCY_NAMESPACE, f"{owner_slug}/schedules/{idempotency_key}"))


def plain_id(text: str) -> str:
    """Return an id without its backend: jupyter-scheduler 3 writes ``backend:id``."""
    return text.rpartition(":")[2]


def is_run_id(text: str) -> bool:
    """Return whether ``text`` has the form of a run id; nothing else may become part of a key."""
    return _RUN_ID.fullmatch(text) is not None


def is_run_id_value(value: object) -> bool:
    """Return the same for any value of a document."""
    return isinstance(value, str) and is_run_id(value)


def is_dns_label(text: str) -> bool:
    """Return whether ``text`` can name a LocalQueue or a namespace (RFC 1123 label)."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Return whether ``text`` can name a WorkloadPriorityClass or a Secret (RFC 1123 subdomain)."""
    return _DNS_SUBDOMAIN.fullmatch(text) is not None


def is_dns_subdomain_value(value: object) -> bool:
    """Return whether any value of a document is a text that can name an object in the cluster."""
    return isinstance(value, str) and is_dns_subdomain(value)


def job_name(run_id: str) -> str:
    """Return the name of the Job of ``run_id``: derived from it, so that a repeat finds the Job."""
    return f"nb-{run_id}"


def cron_job_name(schedule_id: str) -> str:
    """Return the name of a schedule's CronJob; it may have at most 52 characters."""
    return f"nb-{schedule_id}"


def scheduled_minute(job_name: str) -> int | None:
    """Return when the Job of that name was due, in minutes since 1970; None if no CronJob made it.

    The CronJob controller names a Job ``<cronjob>-<minutes>`` (pkg/controller/cronjob/utils.go).
    """
    found = _SCHEDULED_JOB.fullmatch(job_name)
    return int(found[1]) if found else None


def owner_slug(owner: str) -> str:
    """Return a user name in a form for labels and keys, different for different names.

    A name that is already valid and short is kept, so that admins recognize it; any other keeps its
    valid characters and gets a hash of the whole.
    """
    if _DNS_LABEL.fullmatch(owner) and len(owner) <= _SLUG_LENGTH and "--" not in owner:
        return owner
    digest = hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    # "--" marks a generated slug: no name that is kept contains it.
    return f"{kept or 'user'}--{digest}"
