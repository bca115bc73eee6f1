"""What the server and a run's containers agree on: names of files and variables, exit codes.

``execute`` imports it in any user's image, so it needs only Python 3.9's standard library.
"""

from __future__ import annotations

# --- Containers -------------------------------------------------------------------------------

STAGE_IN = "stage-in"
STAGE_OUT = "stage-out"
EXPORT = "export"  # only if a format needs it
NOTEBOOK = "notebook"

# The format that needs no export.
NOTEBOOK_FORMAT = "ipynb"
# The kernel of a notebook that names none.
DEFAULT_KERNEL = "python3"

# --- Environment variables of the containers. Every path reaches the runner by one of them. ---

ENV_RUN_ID = "JUPYTER_KUEUE_RUN_ID"
# Only for a run that a CronJob created: its schedule, revision and Job name.
ENV_SCHEDULE_ID = "JUPYTER_KUEUE_SCHEDULE_ID"
ENV_SCHEDULE_REVISION = "JUPYTER_KUEUE_SCHEDULE_REVISION"
ENV_JOB_NAME = "JUPYTER_KUEUE_JOB_NAME"
ENV_OWNER = "JUPYTER_KUEUE_OWNER"  # the owner's slug: the first part of every key in the bucket
ENV_POD_UID = "JUPYTER_KUEUE_POD_UID"
ENV_POD_NAME = "JUPYTER_KUEUE_POD_NAME"
ENV_NAMESPACE = "JUPYTER_KUEUE_NAMESPACE"
ENV_LOCAL_QUEUE = "JUPYTER_KUEUE_LOCAL_QUEUE"
ENV_CONTROL_DIR = "JUPYTER_KUEUE_CONTROL_DIR"
ENV_WORKSPACE_DIR = "JUPYTER_KUEUE_WORKSPACE_DIR"
ENV_RUNNER_DIR = "JUPYTER_KUEUE_RUNNER_DIR"
ENV_EXPORT_REQUEST_DIR = "JUPYTER_KUEUE_EXPORT_REQUEST_DIR"  # read-only for export
ENV_EXPORT_DIR = "JUPYTER_KUEUE_EXPORT_DIR"  # read-only for stage-out
ENV_RUNNER_IMAGE = "JUPYTER_KUEUE_RUNNER_IMAGE"  # only in staging containers, for messages
ENV_BUCKET_DIR = "JUPYTER_KUEUE_BUCKET"  # a folder with credential files, see storage.bucket
ENV_NOTEBOOK = "JUPYTER_KUEUE_NOTEBOOK"  # for a kernel that starts before run.json exists
ENV_KERNEL_NAME = "JUPYTER_KUEUE_KERNEL_NAME"  # likewise
ENV_CHECKPOINT_DIR = "CHECKPOINT_DIR"  # survives attempts
ENV_SCRATCH_DIR = "SCRATCH_DIR"  # fast, removed with the pod
ENV_MEMORY_LIMIT = "JUPYTER_KUEUE_MEMORY_LIMIT_BYTES"
# What the pod may write, in bytes: {volume: its sizeLimit}, and the ephemeral-storage limits of the
# notebook container and, with _<number> appended, of the others.
ENV_VOLUME_LIMITS = "JUPYTER_KUEUE_VOLUME_LIMITS"
ENV_DISK_LIMIT = "JUPYTER_KUEUE_DISK_LIMIT"
ENV_MAX_EVICTIONS = "JUPYTER_KUEUE_MAX_EVICTIONS"  # see stage_in.former_attempts
ENV_GRACE_PERIOD = "JUPYTER_KUEUE_GRACE_PERIOD_SECONDS"  # seconds between SIGTERM and SIGKILL
ENV_TERMINATION_LOG = "JUPYTER_KUEUE_TERMINATION_LOG"  # the container's terminationMessagePath

# In seconds: how long stage-in and stage-out retry while the bucket is unavailable, and how long
# execute waits for a sign of life from stage-out.
ENV_STAGING_SECONDS = "JUPYTER_KUEUE_STAGING_SECONDS"
ENV_COMMIT_SECONDS = "JUPYTER_KUEUE_COMMIT_SECONDS"

DEFAULT_GRACE_PERIOD_SECONDS = 60.0
# How long the bucket may be unavailable at the start and at the end of a run.
DEFAULT_STAGING_SECONDS = 300.0
DEFAULT_COMMIT_SECONDS = 600.0

# What stage-out keeps of the workspace, and of the checkpoints: the number of files, the bytes of
# one, the bytes of all.
ENV_MAX_OUTPUT_FILES = "JUPYTER_KUEUE_MAX_OUTPUT_FILES"
ENV_MAX_OUTPUT_FILE_BYTES = "JUPYTER_KUEUE_MAX_OUTPUT_FILE_BYTES"
ENV_MAX_OUTPUT_BYTES = "JUPYTER_KUEUE_MAX_OUTPUT_BYTES"

DEFAULT_MAX_EVICTIONS = 3
DEFAULT_MAX_OUTPUT_FILES = 10_000
DEFAULT_MAX_OUTPUT_FILE_BYTES = 50 * 2**30
DEFAULT_MAX_OUTPUT_BYTES = 200 * 2**30

# The modules that stage-out copies into the runner folder for the notebook container.
EXECUTE_FOLDER = "execute"
# The staging containers yield to the notebook if CPU is scarce, see nice(1).
STAGING_NICENESS = 10

# How long containers that start one after the other wait for each other, in seconds.
START_SECONDS = 120

# Where these folders are mounted in a pod.
CONTROL_MOUNT = "/jupyter-kueue/control"
RUNNER_MOUNT = "/jupyter-kueue/runner"
BUCKET_MOUNT = "/jupyter-kueue/bucket"
WORKSPACE_MOUNT = "/jupyter-kueue/workspace"
CHECKPOINT_MOUNT = "/jupyter-kueue/checkpoints"
EXPORT_REQUEST_MOUNT = "/jupyter-kueue/export-request"
EXPORT_MOUNT = "/jupyter-kueue/export"
SCRATCH_MOUNT = "/jupyter-kueue/scratch"

# --- Files in the control folder: written by ``execute``, and possibly by a notebook's code -------
# Read them with ``runner.stage_out.reports`` only. Each is replaced atomically.

# execute -> stage-out, after each cell and every few seconds within one: see PROGRESS below.
PROGRESS_FILE = "progress.json"
# execute -> stage-out: the notebook with the outputs so far.
NOTEBOOK_FILE = "notebook.ipynb"
# execute -> stage-out: everything the notebook printed, as in the container's log.
LOG_FILE = "run.log"
# execute -> stage-out: how the notebook ended, see ENDED below. execute writes it last.
ENDED_FILE = "ended.json"
# execute -> the kubelet: execute handles SIGTERM, see HEED_PROGRAM.
LISTENING_FILE = "listening"

# --- Files in the runner folder, which the notebook container mounts read-only -------------------
# They hold what the notebook container trusts, and what the staging containers must find
# unchanged. Each is replaced atomically.

# stage-in -> both: {"run_id", "notebook": path relative to the workspace, "kernel_name",
# "timeout_seconds", "cell_timeout_seconds", "output_formats", "started_at": of this attempt}
RUN_FILE = "run.json"
# stage-out -> execute: {"committed": bool, "message", "result_of": pod uid or None}: the outputs
# are stored, or never will be; execute exits. "result_of" names another attempt whose result.json
# came first; "superseded": true means that a newer attempt has taken over.
COMMITTED_FILE = "committed.json"
# stage-out -> execute, touched every second: the outputs are still being stored.
STORING_FILE = "storing"
STORING_SECONDS = 1.0
# A staging container that cannot run -> the notebook's: the reason, as text. See STAGING_PROGRAM.
UNFIT_FILE = "unfit"
# stage-in holds a lock on this file (flock(2)) until it ends, even if it crashes.
STAGE_IN_LOCK_FILE = "stage-in.lock"
# stage-in -> both: the bucket already has a result; exit at once with EXIT_SUCCEEDED.
FINISHED_FILE = "finished.json"
# stage-in -> stage-out: {path: {"size_bytes", "mtime_ns"}} of the staged inputs.
STAGED_FILE = "staged.json"
# stage-in -> stage-out: the same for the checkpoints of former attempts.
STAGED_CHECKPOINTS_FILE = "staged-checkpoints.json"

# --- Between stage-out and export: one folder for each direction
# -----------------------------------

# stage-out -> export: {"name": file name of the notebook, "formats"}; the notebook is next to it.
EXPORT_REQUEST_FILE = "request.json"
EXPORT_NOTEBOOK_FOLDER = "notebook"
# export -> stage-out: {"errors": {index of a format in the request: why it failed}}; each format's
# files are in a folder named by its index.
EXPORT_REPLY_FILE = "reply.json"
EXPORT_SECONDS = 120.0
EXPORTS_AT_ONCE = 2

# --- What the reports of ``execute`` contain ------------------------------------------------------

# Cells are numbered as Jupyter numbers them, so that log, messages and tracebacks agree: cell 1 is
# In [1], the first code cell that runs. Empty cells do not run and have no number.
# PROGRESS: {"pod_uid", "cell": number of the running cell or None, "cell_index": its index in the
# notebook, "cells_done", "cells": how many run, "since": RFC 3339 start of that cell, "updated_at"}
# ENDED: {"pod_uid", "outcome": one of OUTCOMES, "error": ERROR or None, "message", "sentence": code
# and values of the message, or None, "started_at", "ended_at", "cells", "cells_done",
# "peak_memory_bytes": of the largest process, or None, "elsewhere": what was written outside the
# run's folder and is lost, such as ["~/model.pt"]}
# ``runner.stage_out.reports`` passes on only these fields.
# ERROR: {"name", "value", "cell", "cell_index", "cell_source", "traceback": [lines]}

# --- Limits of what execute keeps and reports -----------------------------------------------------

# All outputs of a notebook together, and the part of them in run.log, in bytes.
ENV_MAX_NOTEBOOK_OUTPUT_BYTES = "JUPYTER_KUEUE_MAX_NOTEBOOK_OUTPUT_BYTES"
DEFAULT_MAX_NOTEBOOK_OUTPUT_BYTES = 100 * 2**20

# Limits of ENDED and ERROR, in characters and lines. A longer text is cut, and says so.
MAX_MESSAGE_LENGTH = 1_000
MAX_ERROR_NAME_LENGTH = 255
MAX_ERROR_VALUE_LENGTH = 10_000
MAX_CELL_SOURCE_LENGTH = 10_000
MAX_TRACEBACK_LINES = 200
MAX_TRACEBACK_LINE_LENGTH = 10_000
MAX_TRACEBACK_LENGTH = 40_000
# The notes about what was cut are added on top; together they are at most this long.
MAX_CUT_WORDS_LENGTH = 1_000
MAX_ELSEWHERE = 10
MAX_ELSEWHERE_LENGTH = 255

# --- How an attempt ends ------------------------------------------------------------------------

SUCCEEDED = "succeeded"
NOTEBOOK_FAILED = "notebook-failed"  # a cell raised
TIME_LIMIT = "time-limit"  # the run's own limit, or a cell's
INTERRUPTED = "interrupted"  # SIGTERM: preempted, stopped or drained
KERNEL_DIED = "kernel-died"
NO_KERNEL = "no-kernel"  # the environment lacks the kernel, nbclient or ipykernel
STAGING = "staging"  # inputs could not be fetched, or outputs not stored
DISK_FULL = "disk-full"  # a cell hit a full disk or quota and did not catch the error
OUTCOMES = (
    SUCCEEDED,
    NOTEBOOK_FAILED,
    TIME_LIMIT,
    INTERRUPTED,
    KERNEL_DIED,
    NO_KERNEL,
    STAGING,
    DISK_FULL,
)

# Only the pod's status knows this outcome, not ``execute``; it appears in the attempt's record.
EVICTED = "evicted"  # by its node

# Outcomes with a result.json: the notebook ran to its end.
FINAL_OUTCOMES = (SUCCEEDED, NOTEBOOK_FAILED, TIME_LIMIT, DISK_FULL)

# Exit codes. 137 and 143 keep their usual meaning (killed, terminated); no rule lists them.
EXIT_SUCCEEDED = 0
EXIT_NOTEBOOK_FAILED = 41
EXIT_TIME_LIMIT = 42
EXIT_INTERRUPTED = 43
EXIT_KERNEL_DIED = 44
EXIT_NO_KERNEL = 45
EXIT_STAGING = 46
EXIT_DISK_FULL = 47
# The same for a pod that received SIGTERM: it counts as a retry (see FAIL_JOB_EXIT_CODES).
EXIT_DISK_FULL_AT_STOP = 48

EXIT_CODES = {
    SUCCEEDED: EXIT_SUCCEEDED,
    NOTEBOOK_FAILED: EXIT_NOTEBOOK_FAILED,
    TIME_LIMIT: EXIT_TIME_LIMIT,
    INTERRUPTED: EXIT_INTERRUPTED,
    KERNEL_DIED: EXIT_KERNEL_DIED,
    NO_KERNEL: EXIT_NO_KERNEL,
    STAGING: EXIT_STAGING,
    DISK_FULL: EXIT_DISK_FULL,
}
OUTCOME_OF_EXIT_CODE = {
    **{code: outcome for outcome, code in EXIT_CODES.items()},
    EXIT_DISK_FULL_AT_STOP: DISK_FULL,
}

# podFailurePolicy FailJob: failures that another attempt cannot fix. Exit codes of FINAL_OUTCOMES
# are used only once result.json is stored, and none of these after SIGTERM, because the Job
# controller checks all pods.
FAIL_JOB_EXIT_CODES = (EXIT_NOTEBOOK_FAILED, EXIT_TIME_LIMIT, EXIT_DISK_FULL, EXIT_NO_KERNEL)

# What a staging container runs; the module's name follows. If its image lacks this package, it
# reports that and keeps running. The notebook container can then start and end at once with the
# same message, instead of waiting for a container that restarts again and again.
STAGING_PROGRAM = f"""
import sys
sys.path[:] = [path for path in sys.path if path]  # nothing from the image's working directory
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit({EXIT_INTERRUPTED}))
module = sys.argv[1]
try:
    import importlib
    main = importlib.import_module("jupyter_kueue.runner." + module + "." + module).main
except Exception as error:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # the pod ends once it is said
    import traceback
    traceback.print_exc()
    message = (
        "The runner image %s cannot run jupyter-kueue (%s: %s). Ask an admin to set runner_image "
        "to an image that has this server's version of jupyter-kueue installed."
    ) % (os.environ.get("{ENV_RUNNER_IMAGE}"), type(error).__name__, error)
    places = [(os.environ["{ENV_TERMINATION_LOG}"], None)]
    if "{ENV_RUNNER_DIR}" in os.environ:
        path = os.path.join(os.environ["{ENV_RUNNER_DIR}"], "{UNFIT_FILE}")
        places.append((path + "." + module, path))  # the other container writes it, too
    for path, final_path in places:
        try:
            with open(path, "w") as file:
                file.write(message)
            if final_path:
                os.replace(path, final_path)
        except OSError as unwritten:
            print(unwritten, file=sys.stderr)
    signal.sigwait([signal.SIGTERM])
    sys.exit({EXIT_STAGING})
main()
"""

# What the notebook container runs: it waits for these modules, handles SIGTERM meanwhile, and then
# runs ``execute`` from them.
EXECUTE_PROGRAM = f"""
import sys
sys.path[:] = [path for path in sys.path if path]  # nothing from the image's working directory
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit({EXIT_INTERRUPTED}))
open(os.path.join(os.environ["{ENV_CONTROL_DIR}"], "{LISTENING_FILE}"), "w").close()
folder = os.environ["{ENV_RUNNER_DIR}"]
program = os.path.join(folder, "{EXECUTE_FOLDER}")
unfit = os.path.join(folder, "{UNFIT_FILE}")
deadline = time.monotonic() + {START_SECONDS}
while not os.path.exists(program):
    if os.path.exists(unfit):
        with open(unfit) as file, open(os.environ["{ENV_TERMINATION_LOG}"], "w") as log:
            message = file.read()
            log.write(message)
        print(message, file=sys.stderr)
        sys.exit({EXIT_STAGING})
    if time.monotonic() > deadline:
        print("stage-out did not start: see its state and its log", file=sys.stderr)
        sys.exit({EXIT_STAGING})
    time.sleep(0.005)
sys.path.insert(0, program)
from jupyter_kueue.runner.notebook.execute import main
main()
"""

# The notebook container's preStop hook: it waits, for at most half of the grace period, until
# execute handles SIGTERM. A container's first process ignores signals without a handler (outside a
# container it would die and count as failed). The kubelet sends SIGTERM only once, so the node
# would be occupied for the whole grace period.
HEED_PROGRAM = f"""
import os, time
mark = os.path.join(os.environ["{ENV_CONTROL_DIR}"], "{LISTENING_FILE}")
deadline = time.monotonic() + float(os.environ["{ENV_GRACE_PERIOD}"]) / 2
while not os.path.lexists(mark) and time.monotonic() < deadline:
    time.sleep(0.01)
"""

# --- Keys of one run in the bucket, below <owner>/runs/<run_id>/ ----------------------------------

RECORD_KEY = "record.json"
ACCEPTED_KEY = "accepted.json"
META_KEY = "meta.json"
STOP_KEY = "stop.json"
DELETED_KEY = "deleted"
INPUT_PREFIX = "input/"
LIVE_PROGRESS_KEY = "live/progress.json"
LIVE_NOTEBOOK_KEY = "live/notebook.ipynb"
LIVE_LOG_KEY = "live/run.log"
ATTEMPTS_PREFIX = "attempts/"
# {"pod_uid"}: the newest attempt. An older one that still runs reads it and stops writing.
CURRENT_KEY = "current.json"
CHECKPOINTS_PREFIX = "checkpoints/"
OUTPUT_PREFIX = "output/"
RESULT_KEY = "result.json"
FINAL_KEY = "final.json"

# RESULT: ENDED + {"version": 1, "run_id", "files": [FILE], "format_errors": {format: message},
# "file_errors": {path: why it was left out}, "attempt_uids": uids of attempts seen}, and
# "format_error_sentences", "file_error_sentences": {the same: {"code", "values"} or None}
# FILE: {"path": relative to output/, "size_bytes", "sha256", "role"}, and of the notebook's files
# "executable" and "modified_at"
ROLE_NOTEBOOK = "notebook"  # the executed notebook, first in the list
ROLE_EXPORT = "export"
ROLE_SIDE_EFFECT = "side-effect"
ROLE_INPUT = "input"
ROLE_LOG = "log"
# ATTEMPT (attempts/<pod_uid>.json): {"pod_uid", "pod_name", "started_at", "ended_at", "reason": one
# of OUTCOMES or EVICTED, None while it runs, "message", "sentence", "cells_done", "cells",
# "peak_memory_bytes", "cell": number of the last cell that ran}


def run_prefix(owner: str, run_id: str) -> str:
    """Return the key prefix of one run, with a trailing slash."""
    return f"{owner}/runs/{run_id}/"


# --- Keys of one schedule in the bucket, below <owner>/schedules/<schedule_id>/ -------------------

DEFINITION_KEY = "definition.json"
REVISIONS_PREFIX = "revisions/"
INPUTS_PREFIX = "inputs/"
# One object for each run that counts against max_runs, created when the run is taken in.
SLOTS_PREFIX = "slots/"


def schedule_prefix(owner: str, schedule_id: str) -> str:
    """Return the key prefix of one schedule, with a trailing slash."""
    return f"{owner}/schedules/{schedule_id}/"
