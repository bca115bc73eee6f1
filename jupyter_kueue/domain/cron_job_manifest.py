"""The CronJob of a schedule, built from its record. Pure, so that tests can compare whole objects.

Its Jobs are built like any run's, so that all runs behave the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_kueue.domain import job_manifest, names

if TYPE_CHECKING:
    from jupyter_kueue.domain.job_manifest import PodPolicy
    from jupyter_kueue.domain.kubernetes_manifests import (
        CronJobManifest,
        CronJobManifestSpec,
        CronJobTiming,
    )
    from jupyter_kueue.domain.kubernetes_objects import CronJob
    from jupyter_kueue.domain.run_record import RunSpec
    from jupyter_kueue.domain.schedule_record import ScheduleRecord

DEFAULT_TIMEZONE = "Etc/UTC"
_TIMING = ("schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds")
# Kubernetes' defaults of 3 and 1 would delete runs that nobody has seen.
_KEPT_RUNS = 100


def build_timing(schedule: ScheduleRecord) -> CronJobTiming:
    """Return the part of a CronJob's spec that says when it fires.

    Raises:
        ValueError: the schedule has no cron expression.
    """
    request = schedule.request
    if request.schedule is None:
        raise ValueError(f"the schedule {schedule.schedule_id} has no cron expression")
    deadline = request.starting_deadline_seconds
    timing: CronJobTiming = {
        "schedule": request.schedule,
        # Explicit even for the default, which would otherwise be the control plane's time zone.
        "timeZone": request.timezone or DEFAULT_TIMEZONE,
        "concurrencyPolicy": request.concurrency_policy,
    }
    if deadline is not None:
        timing["startingDeadlineSeconds"] = deadline
    return timing


def has_timing(cron_job: CronJob, timing: CronJobTiming) -> bool:
    """Tell whether a CronJob that is there fires at these times."""
    there = {key: value for key, value in cron_job["spec"].items() if key in _TIMING}
    return there == timing


def build_cron_job(
    schedule: ScheduleRecord, runs: RunSpec, policy: PodPolicy, *, suspend: bool
) -> CronJobManifest:
    """Return the CronJob of a schedule with a cron expression; ``runs`` is what it makes."""
    labels = {
        names.LABEL_SCHEDULE_ID: schedule.schedule_id,
        names.LABEL_OWNER: schedule.owner.slug,
        names.LABEL_COMPONENT: names.COMPONENT_SCHEDULE,
        names.LABEL_NAME: "notebook-schedule",
        names.LABEL_PART_OF: names.PREFIX,
        names.LABEL_MANAGED_BY: names.PREFIX,
    }
    spec: CronJobManifestSpec = {
        **build_timing(schedule),
        "suspend": suspend,
        "successfulJobsHistoryLimit": _KEPT_RUNS,
        "failedJobsHistoryLimit": _KEPT_RUNS,
        "jobTemplate": job_manifest.build_job_template(runs, schedule.revision, policy),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": names.cron_job_name(schedule.schedule_id),
            "namespace": schedule.namespace,
            "labels": labels,
            "annotations": {
                names.ANNOTATION_NAME: schedule.name,
                names.ANNOTATION_OWNER: schedule.owner.name,
                names.ANNOTATION_DEFINITION: schedule.digest,
            },
        },
        "spec": spec,
    }
