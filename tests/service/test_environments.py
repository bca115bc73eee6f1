"""Profiles and environments, from the settings and from what an admin applies with kubectl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jupyter_kueue.domain import errors
from jupyter_kueue.domain.run_request import Resources, RunRequest
from jupyter_kueue.service import health

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

pytestmark = pytest.mark.integration


def config_map(namespace: str, kind: str, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"our-{kind}s",
            "namespace": namespace,
            "labels": {"jupyter-kueue/kind": kind},
        },
        "data": data,
    }


async def test_the_built_in_profiles_and_the_configured_image(session: Any):
    environments = await session.application.environments()
    profiles = await environments.list_profiles()
    assert [item["name"] for item in profiles] == ["small", "medium", "gpu"]
    assert [item["name"] for item in profiles if item["default"]] == ["small"]
    [environment] = await environments.list_environments()
    assert (environment["name"], environment["display_name"]) == ("default", "Default")
    assert environment["default"] is True
    image = environment["image"]
    resolve = environments.resolve
    assert await resolve(RunRequest("a.ipynb")) == (Resources("1", "2Gi", 0), image)
    assert await resolve(RunRequest("a.ipynb", profile="gpu")) == (Resources("2", "8Gi", 1), image)
    asked = Resources("3", "1Gi", 2)
    assert await resolve(RunRequest("a.ipynb", resources=asked)) == (asked, image)


async def test_unknown_names_say_what_there_is(session: Any):
    with pytest.raises(errors.InvalidRequestError) as caught:
        await (await session.application.environments()).resolve(
            RunRequest("a.ipynb", profile="huge", environment="nope")
        )
    assert "available: small, medium, gpu" in caught.value.fields["profile"]
    assert "available: default" in caught.value.fields["environment"]


async def test_no_image_at_all(open_session: Callable):
    async with open_session(image="") as opened:
        with pytest.raises(errors.NotConfiguredError, match=r"c\.JupyterKueue\.image"):
            await (await opened.application.environments()).resolve(RunRequest("a.ipynb"))


# Nine levels of nine aliases each.
BOMB = "cpu: &a0 [x]\n" + "".join(
    f"k{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


async def test_what_an_admin_applies_is_used(
    open_session: Callable, namespace: Any, local_cluster: Any
):
    local_cluster.apply(
        [
            config_map(
                namespace.name,
                "profile",
                huge='{cpu: "16", memory: 64Gi, gpus: 4, display_name: Huge, default: true}',
                small="cpu: 500m",
                broken="cpu: [",
                strange="colour: red",
                many="gpus: -1",
                text="hello",
                date="cpu: 2020-13-45",
                bomb=BOMB,
                deep="cpu: " + "[" * 5000,
                deeper="cpu: " + "[" * 20_000,
                loop="&a [*a]",
                long=f"description: {'x' * 2001}",
                listed="description: [1]",
                keys="? [a]\n: 1",
            ),
            config_map(
                namespace.name, "environment", torch="image: example/torch:1", none="default: true"
            ),
        ]
    )
    configured = {"r": {"image": "example/r:1", "display_name": "R", "default": True}}
    async with open_session(environments=configured) as opened:
        environments = await opened.application.environments()
        profiles = {item["name"]: item for item in await environments.list_profiles()}
        found = {item["name"]: item for item in await environments.list_environments()}
        assert await environments.resolve(RunRequest("a.ipynb", environment="torch")) == (
            Resources("16", "64Gi", 4),
            "example/torch:1",
        )
        report = await health.report(opened.application)
    assert list(profiles) == ["huge", "small", "medium", "gpu"]
    assert profiles["small"]["cpu"] == "500m"
    assert [name for name, item in profiles.items() if item["default"]] == ["huge"]
    assert list(found) == ["default", "r", "torch"]
    assert [name for name, item in found.items() if item["default"]] == ["r"]
    warnings = "\n".join(
        item["what"] for item in report["problems"] if item["severity"] == "warning"
    )
    for name, why in (
        ("broken", "it is not YAML"),
        ("strange", "it has unknown fields: colour"),
        ("many", "resources.gpus"),
        ("text", "it must be an object"),
        ("date", "month must be in 1..12"),
        ("bomb", "it holds an alias"),
        ("deep", "it is nested deeper than 10 levels"),
        ("deeper", "it has 20005 characters; at most 8000 are read"),
        ("loop", "it holds an alias"),
        ("long", "its description must have at most 2000 characters"),
        ("listed", "its description must be text"),
        ("keys", "it is not YAML (while constructing a mapping"),
    ):
        assert f"The ConfigMap our-profiles: {name} is ignored: {why}" in warnings
    assert "The ConfigMap our-environments: none is ignored: it has no image" in warnings
