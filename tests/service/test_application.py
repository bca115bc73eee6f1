"""The states of a server, and who waits for them: on a real cluster and a real bucket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from jupyter_kueue import config
from jupyter_kueue.contract.sentences import foreign
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_query import RunQuery
from jupyter_kueue.service.application import Application
from jupyter_kueue.service.readiness import State
from tests.support import proxy as proxies

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

LISTED_RUNS = "/jobs"
LISTED_QUEUES = "/localqueues"


async def has_come(held: threading.Event) -> None:
    """Wait until a proxy holds what it is to hold."""
    assert await asyncio.to_thread(held.wait, 60)


async def is_in(application: Application, state: State) -> None:
    """Wait until an application is in a state."""
    assert await application.wait_until(lambda: application.readiness.state is state, 60)


async def test_settings_that_cannot_be_used_are_told_for_good(tmp_path: Path):
    wrong = errors.NotConfiguredError(foreign("The setting x is wrong."))
    application = Application(wrong, tmp_path)
    await application.start()
    assert await application.settled() == (State.FAILED, wrong)
    for ask in (application.runs, application.schedules, application.queues):
        with pytest.raises(errors.NotConfiguredError, match="The setting x is wrong"):
            await ask()
    with pytest.raises(errors.NotConfiguredError, match="The setting x is wrong"):
        assert application.changes
    await application.stop()


async def test_what_must_be_set_up_first_is_told(tmp_path: Path):
    settings = config.Settings(owner="tess", kubeconfig=str(tmp_path / "none"), bucket=None)
    application = Application(settings, tmp_path)
    await application.start()
    state, missing = await application.settled()
    assert state is State.FAILED
    assert missing is not None
    # Both at once: who mends one must not find the other next.
    assert "No bucket is configured" in missing.message
    assert "No usable Kubernetes configuration" in missing.message
    with pytest.raises(errors.NotConfiguredError, match="No bucket is configured"):
        await application.environments()
    await application.stop()


@pytest.mark.integration
async def test_a_request_to_a_server_that_is_starting_waits_until_it_is_ready(
    open_application: Callable[..., Any], ways: Any
):
    with contextlib.ExitStack() as until_released:
        held = until_released.enter_context(ways.cluster.holding_the_first_read(LISTED_RUNS))
        async with open_application(**ways.settings) as application:
            asked = [asyncio.create_task(application.runs()) for _ in range(3)]
            await has_come(held)
            assert application.readiness == (State.STARTING, None)
            # What needs no runs does not wait for them.
            assert await (await application.environments()).list_profiles()
            assert not any(task.done() for task in asked)
            until_released.close()
            for runs in await asyncio.gather(*asked):
                assert (await runs.list(RunQuery()))["total"] == 0
            await is_in(application, State.READY)


@pytest.fixture
def slow_login(ways: Any, tmp_path: Path) -> Any:
    """A kubeconfig whose credential plug-in answers once it is let; the settings, and what lets it.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """
    gate, plug_in = tmp_path / "gate", tmp_path / "log-in"
    os.mkfifo(gate)
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "x"},
    }
    plug_in.write_text(f"#!/bin/sh\ncat {gate}\necho '{json.dumps(credential)}'\n")
    plug_in.chmod(0o755)
    path = Path(ways.settings["kubeconfig"])
    body = yaml.safe_load(path.read_text())
    api_version = "client.authentication.k8s.io/v1"
    body["users"][0]["user"] = {"exec": {"apiVersion": api_version, "command": str(plug_in)}}
    path.write_text(yaml.safe_dump(body))

    def let_in() -> None:
        gate.write_text("")

    return ways.settings, let_in


@pytest.mark.integration
async def test_a_request_waits_for_a_server_that_takes_its_time_to_connect(
    open_application: Callable[..., Any], slow_login: Any
):
    settings, let_in = slow_login
    async with open_application(**settings) as application:
        asked = [
            asyncio.create_task(ask())
            for ask in (
                application.queues,
                application.environments,
                application.runs,
                application.schedules,
            )
        ]
        # It is logging in now: the plug-in has opened what it reads.
        await asyncio.to_thread(let_in)
        for task in asked:
            await task
        await is_in(application, State.READY)


@pytest.mark.integration
async def test_who_asks_a_server_that_connects_too_slowly_is_told_so(
    open_application: Callable[..., Any], slow_login: Any
):
    settings, let_in = slow_login
    async with open_application(**settings) as application:
        with pytest.raises(errors.UnavailableError, match="still connecting"):
            await application.runs(seconds=0)
        await asyncio.to_thread(let_in)
        await is_in(application, State.READY)


@pytest.mark.integration
async def test_the_queues_are_waited_for(open_application: Callable[..., Any], ways: Any):
    with contextlib.ExitStack() as until_released:
        held = until_released.enter_context(ways.cluster.holding_the_first_read(LISTED_QUEUES))
        async with open_application(**ways.settings) as application:
            asked = asyncio.create_task(application.queues())
            await has_come(held)
            assert not asked.done()
            until_released.close()
            listed = await (await asked).list_local_queues()
            assert "team-a" in {item["name"] for item in listed}


@pytest.mark.integration
async def test_a_request_does_not_wait_for_ever(open_application: Callable[..., Any], ways: Any):
    with contextlib.ExitStack() as until_released:
        held = until_released.enter_context(ways.cluster.holding_the_first_read(LISTED_RUNS))
        async with open_application(**ways.settings) as application:
            await has_come(held)
            with pytest.raises(errors.UnavailableError, match="still being read"):
                await application.runs(seconds=0)


@pytest.mark.integration
async def test_a_request_that_waits_is_told_what_turns_out_to_be_missing(
    open_application: Callable[..., Any], ways: Any
):
    answer = proxies.without_kueue("GET", "/apis/kueue.x-k8s.io")
    with contextlib.ExitStack() as until_released:
        held = until_released.enter_context(
            ways.cluster.holding_the_first("GET", LISTED_QUEUES, then=answer)
        )
        async with open_application(**ways.settings) as application:
            asked = [
                asyncio.create_task(ask()) for ask in (application.runs, application.schedules)
            ]
            await has_come(held)
            until_released.close()
            for task in asked:
                with pytest.raises(errors.NotConfiguredError, match="Kueue is not installed"):
                    await task


@pytest.mark.integration
@pytest.mark.parametrize("what", ["cluster", "bucket"])
async def test_a_server_that_starts_during_an_outage_is_degraded_until_it_is_over(
    open_application: Callable[..., Any], ways: Any, what: str
):
    ways[what].down()
    async with open_application(**ways.settings) as application:
        state, missing = await application.settled()
        assert (state, missing.reason) == (State.DEGRADED, f"{what}-unavailable")
        with pytest.raises(errors.UnavailableError) as raised:
            await application.runs()
        assert raised.value.reason == f"{what}-unavailable"
        ways[what].up()
        await is_in(application, State.READY)
        assert (await (await application.runs()).list(RunQuery()))["total"] == 0


@pytest.mark.integration
async def test_a_server_whose_cluster_goes_away_answers_lists_from_memory(
    session: Any, open_application: Callable[..., Any], ways: Any, write_notebook: Callable
):
    run = await session.submit(write_notebook("a.ipynb", "1"))
    async with open_application(**ways.settings) as application:
        await is_in(application, State.READY)
        ways.cluster.down()
        await is_in(application, State.DEGRADED)
        listed = await (await application.runs()).list(RunQuery())
        assert [row["run_id"] for row in listed["items"]] == [run["run_id"]]
        ways.cluster.up()
        await is_in(application, State.READY)


@pytest.mark.integration
async def test_each_change_of_state_is_one_line_of_the_log(
    open_application: Callable[..., Any],
    ways: Any,
    eventually: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
):
    def states() -> list[str]:
        lines = [record.message for record in caplog.records if record.name.endswith("application")]
        return [line.split()[0] for line in lines]

    with caplog.at_level("INFO", "jupyter_kueue.service.application"):
        async with open_application(**ways.settings) as application:
            await is_in(application, State.READY)
            ways.cluster.down()
            await is_in(application, State.DEGRADED)
            ways.cluster.up()
            await is_in(application, State.READY)
            await eventually(lambda: len(states()) > 2)
    assert states() == ["state=ready", "state=degraded", "state=ready"]
