"""The four states of a server, and what is missing. They are decided only here."""

from __future__ import annotations

import enum
from typing import NamedTuple

from jupyter_kueue.domain import errors

# Waiting does not fix these: a setting, a cluster without Kueue, credentials, a role.
_TO_BE_SET_UP = (errors.NotConfiguredError, errors.ForbiddenError)


class State(enum.StrEnum):
    """The states. In each of them, lists that were read are answered from memory."""

    STARTING = "starting"  # connecting, or reading the bucket; nothing is known to be missing
    READY = "ready"  # everything is read, and cluster and bucket answer
    DEGRADED = "degraded"  # cluster or bucket is unavailable; retrying
    FAILED = "failed"  # something has to be set up first


class Readiness(NamedTuple):
    """A state, with what is missing where it is ``degraded`` or ``failed``."""

    state: State
    missing: errors.JupyterKueueError | None


def derive(missing: errors.JupyterKueueError | None, *, is_loaded: bool) -> Readiness:
    """Return the readiness of a server; ``is_loaded`` says whether it has read all runs."""
    if missing is None:
        return Readiness(State.READY if is_loaded else State.STARTING, None)
    if isinstance(missing, _TO_BE_SET_UP):
        return Readiness(State.FAILED, missing)
    return Readiness(State.DEGRADED, missing)
