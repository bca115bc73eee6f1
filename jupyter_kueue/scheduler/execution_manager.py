"""The features that jupyter-scheduler asks of an execution manager; it executes nothing."""

from __future__ import annotations

from jupyter_scheduler.executors import ExecutionManager
from jupyter_scheduler.models import JobFeature

_FEATURES = {
    JobFeature.job_name: True,
    JobFeature.parameters: True,
    JobFeature.output_formats: True,
    JobFeature.job_definition: True,
    JobFeature.idempotency_token: True,
    JobFeature.tags: True,
    JobFeature.email_notifications: False,
    JobFeature.timeout_seconds: True,
    JobFeature.retry_on_timeout: False,
    JobFeature.max_retries: True,
    JobFeature.min_retry_interval_millis: False,
    # Upstream stores the template but names the files by a fixed pattern; so does this backend.
    JobFeature.output_filename_template: False,
    JobFeature.stop_job: True,
    JobFeature.delete_job: True,
}


class KueueExecutionManager(ExecutionManager):
    """Never instantiated: runs execute in the cluster. jupyter-scheduler reads its features."""

    def execute(self) -> None:
        """Refuse: nothing executes in the server's process."""
        raise NotImplementedError("Runs execute in the cluster, not in the server's process.")

    # jupyter-scheduler calls it as ``cls.supported_features(cls)``, which fails for a class method.
    def supported_features(cls) -> dict[JobFeature, bool]:  # noqa: N805
        """Return which fields of a job have an effect."""
        return dict(_FEATURES)
