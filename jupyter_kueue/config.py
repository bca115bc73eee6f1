"""Every setting: ``c.JupyterKueue.<name>``, or the environment variable ``JUPYTER_KUEUE_<NAME>``.

The extension and the command line create ``Settings`` here once and pass them on; nothing else
reads configuration. A setting in a configuration file or on the command line overrides the
environment. docs/configuration.md lists all settings, which a test checks.
"""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Dict, Enum, Float, Integer, TraitError, Unicode
from traitlets.config import Config, Configurable

from jupyter_kueue.contract import pod_contract
from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors, names, quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

ENVIRONMENT_PREFIX = "JUPYTER_KUEUE_"

BUILT_IN_PROFILES: dict[str, Json] = {
    "small": {
        "display_name": "Small",
        "description": "1 CPU, 2 GiB of memory",
        "cpu": "1",
        "memory": "2Gi",
        "gpus": 0,
        "default": True,
    },
    "medium": {
        "display_name": "Medium",
        "description": "2 CPUs, 8 GiB of memory",
        "cpu": "2",
        "memory": "8Gi",
        "gpus": 0,
    },
    "gpu": {
        "display_name": "One GPU",
        "description": "1 GPU, 2 CPUs, 8 GiB of memory",
        "cpu": "2",
        "memory": "8Gi",
        "gpus": 1,
    },
}


class Size(Unicode):  # type: ignore[type-arg]
    """A Kubernetes quantity of bytes, such as ``4Gi``; None or an empty text for none."""

    info_text = "an amount of bytes such as 500Mi or 4Gi"

    def __init__(self, default_value: str | None = None, **kwargs: Any) -> None:
        super().__init__(default_value, allow_none=True, **kwargs)

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the text if it is a positive amount."""
        text = super().validate(obj, value)
        if text:
            try:
                is_positive = quantities.parse(text) > 0
            except ValueError:
                is_positive = False
            if not is_positive:
                self.error(obj, value)
        return text


@dataclass(frozen=True)
class Settings:
    """The settings in force. Names and meanings are those of ``JupyterKueue``'s traits.

    Attributes:
        owner: never empty: the configured owner, else JupyterHub's user, else the OS user.
    """

    owner: str
    kubeconfig: str | None = None
    context: str | None = None
    in_cluster: bool = False
    namespace: str | None = None
    bucket: str | None = None
    bucket_secret: str = names.BUCKET_SECRET
    local_queue: str | None = None
    image: str | None = None
    runner_image: str | None = None
    environments: Mapping[str, Json] = field(default_factory=dict)
    profiles: Mapping[str, Json] = field(default_factory=lambda: BUILT_IN_PROFILES)
    grace_period_seconds: int = 30
    staging_cpu: str = "50m"
    staging_memory: str = "128Mi"
    staging_memory_limit: str = "2Gi"
    staging_seconds: int = int(pod_contract.DEFAULT_STAGING_SECONDS)
    run_as_user: int = 1000
    run_as_group: int = 100
    pod_template: Mapping[str, Any] = field(default_factory=dict)
    max_notebook_bytes: int = 100 * 2**20
    max_notebook_output_bytes: int = 100 * 2**20
    max_folder_files: int = 2000
    max_folder_bytes: int = 2**30
    max_output_files: int = pod_contract.DEFAULT_MAX_OUTPUT_FILES
    max_output_file_bytes: int = pod_contract.DEFAULT_MAX_OUTPUT_FILE_BYTES
    max_output_bytes: int = pod_contract.DEFAULT_MAX_OUTPUT_BYTES
    max_timeout_seconds: int | None = None
    cpu_limit: float | None = None
    ephemeral_storage_request: str | None = None
    ephemeral_storage_limit: str | None = None
    control_size_limit: str | None = "4Gi"
    workspace_size_limit: str | None = None
    checkpoints_size_limit: str | None = None
    scratch_size_limit: str | None = None
    start_timeout_seconds: int = 600
    max_evictions: int = pod_contract.DEFAULT_MAX_EVICTIONS
    finished_job_seconds: int = 3600
    leftover_seconds: int = 900
    resync_seconds: int = 60
    scheduler_backend: bool = True
    log_format: str = "text"


class JupyterKueue(Configurable):
    """Settings of jupyter-kueue, in any Jupyter configuration file: ``c.JupyterKueue.<name>``."""

    kubeconfig = Unicode(
        None,
        allow_none=True,
        help="""Path of the kubeconfig to use. If unset: $KUBECONFIG, else ~/.kube/config, else,
        inside a pod, the pod's service account.""",
    ).tag(config=True)
    context = Unicode(
        None,
        allow_none=True,
        help="Context of the kubeconfig to use. If unset: its current context.",
    ).tag(config=True)
    in_cluster = Bool(
        default_value=False,
        help="Use the service account of the pod this server runs in, whatever kubeconfig exists.",
    ).tag(config=True)
    namespace = Unicode(
        None,
        allow_none=True,
        help="Namespace in which runs are created. If unset: that of the context or the pod.",
    ).tag(config=True)
    bucket = Unicode(
        None,
        allow_none=True,
        help="""The bucket as this server reaches it: a URL (s3://name/prefix, gs://, az://,
        file:///), or a folder holding a file `url` and one file per option of the store
        (endpoint, access_key_id, secret_access_key, region, ...), as a mounted Secret does.""",
    ).tag(config=True)
    bucket_secret = Unicode(
        names.BUCKET_SECRET,
        help="""Name of the Secret, in the runs' namespace, with which pods access the bucket. Its
        keys are the files that `bucket` describes; its endpoint may differ from the server's.""",
    ).tag(config=True)
    local_queue = Unicode(
        None,
        allow_none=True,
        help="""LocalQueue of runs that name none. If unset: `default`, otherwise the first active
        queue by name.""",
    ).tag(config=True)
    image = Unicode(
        None,
        allow_none=True,
        help="""Image of the notebook container of runs that name no environment: any image with
        Python 3.9 or newer, nbclient and a kernel.""",
    ).tag(config=True)
    runner_image = Unicode(
        None,
        allow_none=True,
        help="""Image of the staging containers, with the same version of this package installed.
        If unset: `image`, which must then include it.""",
    ).tag(config=True)
    owner = Unicode(
        None,
        allow_none=True,
        help="Whose runs these are. If unset: $JUPYTERHUB_USER, else the operating system's user.",
    ).tag(config=True)
    environments = Dict(
        help="""Images that users choose from: name -> {image, display_name, description, default}.
        ConfigMaps labelled jupyter-kueue/kind=environment add to these.""",
    ).tag(config=True)
    profiles = Dict(
        default_value=BUILT_IN_PROFILES,
        help="""Sizes that users choose from: name -> {cpu, memory, gpus, display_name, description,
        default}. ConfigMaps labelled jupyter-kueue/kind=profile add to these.""",
    ).tag(config=True)
    grace_period_seconds = Integer(
        30,
        min=1,
        max=3600,
        help="""Seconds between SIGTERM and SIGKILL when a run is stopped or preempted. Keep it at
        60 or less: Kueue gives the quota to another run at once, which would have to wait for a GPU
        that is still in use.""",
    ).tag(config=True)
    staging_cpu = Unicode(
        "50m", help="CPU that each staging container requests; counts against the quota."
    ).tag(config=True)
    staging_memory = Unicode(
        "128Mi", help="Memory that each staging container requests; counts against the quota."
    ).tag(config=True)
    staging_memory_limit = Unicode(
        "2Gi",
        help="""Most memory that each staging container may use, as well as the container that
        exports to HTML or PDF.""",
    ).tag(config=True)
    staging_seconds = Integer(
        int(pod_contract.DEFAULT_STAGING_SECONDS),
        min=1,
        help="""How long a pod waits for an unavailable bucket, in seconds, when it fetches its
        inputs or stores its outputs.""",
    ).tag(config=True)
    run_as_user = Integer(
        1000,
        min=1,
        help="Numeric user of all containers of a run, so that they can share their volumes.",
    ).tag(config=True)
    run_as_group = Integer(
        100, min=0, help="Numeric group of all containers of a run, and of their volumes."
    ).tag(config=True)
    pod_template = Dict(
        help="""Merged into every pod's spec: nodeSelector, tolerations, imagePullSecrets,
        serviceAccountName, volumes, securityContext, ... Lists are appended.""",
    ).tag(config=True)
    max_notebook_bytes = Integer(
        100 * 2**20, min=1, help="Largest notebook that may be submitted, in bytes."
    ).tag(config=True)
    max_notebook_output_bytes = Integer(
        100 * 2**20,
        min=1,
        help="""Most bytes that a notebook keeps of its cells' outputs in total, and that its log
        keeps. The rest is left out, and a line says so.""",
    ).tag(config=True)
    max_folder_files = Integer(
        2000, min=1, help="Most files that `include_folder` may upload."
    ).tag(config=True)
    max_folder_bytes = Integer(
        2**30, min=1, help="Most bytes that `include_folder` may upload, in total."
    ).tag(config=True)
    max_output_files = Integer(
        pod_contract.DEFAULT_MAX_OUTPUT_FILES,
        min=1,
        help="Most files that are kept of a notebook's output, and of its checkpoints.",
    ).tag(config=True)
    max_output_file_bytes = Integer(
        pod_contract.DEFAULT_MAX_OUTPUT_FILE_BYTES,
        min=1,
        help="Largest file that is kept of a notebook's output, in bytes.",
    ).tag(config=True)
    max_output_bytes = Integer(
        pod_contract.DEFAULT_MAX_OUTPUT_BYTES,
        min=1,
        help="Most bytes that are kept of a notebook's output, in total.",
    ).tag(config=True)
    max_timeout_seconds = Integer(
        None,
        allow_none=True,
        min=1,
        help="Longest time a run may take, in seconds: Kueue ends it then. If unset: no limit.",
    ).tag(config=True)
    cpu_limit = Float(
        None,
        allow_none=True,
        min=1.0,
        help="""CPU limit of each container, as a multiple of its request: 1 for the same amount.
        For namespaces whose ResourceQuota requires one. If unset: none.""",
    ).tag(config=True)
    ephemeral_storage_request = Size(
        help="""Disk space on its node that a run requests, such as 10Gi. It counts against the
        quota, and a queue without a quota for ephemeral-storage never admits the run. If unset:
        none.""",
    ).tag(config=True)
    ephemeral_storage_limit = Size(
        help="""Disk space on its node that a run may use, in all its volumes. If no request is set,
        it is also the request. If unset: no limit.""",
    ).tag(config=True)
    control_size_limit = Size(
        "4Gi",
        help="""Size of the volumes through which the containers of a run communicate; one holds the
        log and the notebook with its outputs so far. Empty: no limit.""",
    ).tag(config=True)
    workspace_size_limit = Size(
        help="Size of the volume that holds a run's notebook and files. If unset: no limit.",
    ).tag(config=True)
    checkpoints_size_limit = Size(
        help="Size of the volume behind `CHECKPOINT_DIR`. If unset: no limit.",
    ).tag(config=True)
    scratch_size_limit = Size(
        help="Size of the volume behind `SCRATCH_DIR`. If unset: no limit.",
    ).tag(config=True)
    start_timeout_seconds = Integer(
        600,
        min=1,
        help="""How long starting a run that has its quota may keep failing, in seconds, before the
        run fails and returns its quota: its image cannot be fetched, its pod is refused, or its
        node cannot set it up. The time counts from the first failure; the time in which an image is
        being fetched does not count.""",
    ).tag(config=True)
    max_evictions = Integer(
        pod_contract.DEFAULT_MAX_EVICTIONS,
        min=0,
        help="""How often nodes may evict a run because they lack memory or disk space before it
        fails. Preemptions and drained nodes do not count, and a run that filled its own share of
        the disk fails at once.""",
    ).tag(config=True)
    finished_job_seconds = Integer(
        3600,
        min=0,
        help="Seconds that a finished Job stays in the cluster, for kubectl, once it is recorded.",
    ).tag(config=True)
    leftover_seconds = Integer(
        900,
        min=1,
        help="Age in seconds at which the remains of an unfinished submit are removed.",
    ).tag(config=True)
    resync_seconds = Integer(
        60,
        min=1,
        help="""Seconds between two complete checks of the cluster and the bucket, regardless of
        reported changes.""",
    ).tag(config=True)
    scheduler_backend = Bool(
        default_value=True,
        help="""Let jupyter-scheduler's dialog and API run jobs through Kueue. If off,
        jupyter-scheduler is unchanged and runs notebooks in processes of this server.""",
    ).tag(config=True)
    log_format = Enum(
        ["text", "json"], "text", help="Format of this extension's log lines: text or json."
    ).tag(config=True)

    def settings(self, environ: Mapping[str, str] | None = None) -> Settings:
        """Return the settings in force.

        Args:
            environ: for the owner's name; the process's environment if None.
        """
        looked_up = os.environ if environ is None else environ
        values = {item.name: getattr(self, item.name) for item in fields(Settings)}
        # An empty text in a file or in the environment means "not set", as in a shell.
        values = {name: None if value == "" else value for name, value in values.items()}
        values["owner"] = values["owner"] or looked_up.get("JUPYTERHUB_USER") or _os_user()
        return Settings(**values)


def environment_variable(name: str) -> str:
    """Return the environment variable of the setting ``name``."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def load(config: Config | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from Jupyter's ``config``, the environment and the defaults.

    Raises:
        NotConfiguredError: a setting has an invalid value; the message names it.
    """
    looked_up = os.environ if environ is None else environ
    layered = Config()
    for name, trait in JupyterKueue.class_traits(config=True).items():
        text = looked_up.get(environment_variable(name), "")
        if text:
            layered[JupyterKueue.__name__][name] = _from_text(name, trait, text)
    if config is not None:
        layered.merge(config)
    try:
        return JupyterKueue(config=layered).settings(looked_up)
    except TraitError as error:
        raise errors.NotConfiguredError(
            say(
                "configuration-problem",
                "jupyter-kueue is not configured correctly: {problem}",
                problem=str(error),
            )
        ) from error


def _from_text(name: str, trait: Any, text: str) -> Any:
    try:
        return json.loads(text) if isinstance(trait, Dict) else trait.from_string(text)
    except (ValueError, TraitError) as error:
        raise errors.NotConfiguredError(
            say(
                "environment-variable-problem",
                "The environment variable {variable} cannot be {value}: {problem}. Correct "
                "it, or unset it.",
                variable=environment_variable(name),
                value=repr(text[:80]),
                problem=str(error),
            )
        ) from error


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run with a uid that no user database contains.
        return f"uid-{os.getuid()}"
