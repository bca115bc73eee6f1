"""Which state a server is in, from what it lacks and what it has read."""

from __future__ import annotations

import pytest

from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue.service import readiness
from jupyter_kueue.service.readiness import State

WHY = foreign("why")


@pytest.mark.parametrize(("is_loaded", "state"), [(False, State.STARTING), (True, State.READY)])
def test_a_server_that_lacks_nothing_is_ready_once_it_has_read_all(is_loaded, state):
    assert readiness.derive(None, is_loaded=is_loaded) == (state, None)


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize(
    ("missing", "state"),
    [
        (errors.ClusterUnavailableError(WHY), State.DEGRADED),
        (errors.BucketUnavailableError(WHY), State.DEGRADED),
        (errors.UnavailableError(WHY), State.DEGRADED),
        (errors.NotConfiguredError(WHY), State.FAILED),
        (errors.ForbiddenError(WHY), State.FAILED),
    ],
)
def test_what_must_be_set_up_is_a_failure_and_all_else_an_outage(is_loaded, missing, state):
    assert readiness.derive(missing, is_loaded=is_loaded) == (state, missing)
