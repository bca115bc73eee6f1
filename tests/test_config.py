"""Settings: where they come from, which wins, and that each is documented."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyter_kueue import config
from jupyter_kueue.config import JupyterKueue, Settings, load
from jupyter_kueue.domain import errors, run_request

TRAITS = JupyterKueue.class_traits(config=True)
PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()


def test_settings_and_traits_have_the_same_names():
    assert {item.name for item in dataclasses.fields(Settings)} == set(TRAITS)


def test_a_settings_object_made_by_hand_has_the_defaults_of_the_traits():
    assert Settings(owner="tess") == load(Config({"JupyterKueue": {"owner": "tess"}}), {})


@pytest.mark.parametrize("name", sorted(TRAITS))
def test_each_setting_is_explained_and_documented(name: str):
    assert len(TRAITS[name].help) > 20
    row = re.search(rf"^\| `{name}` \| `([A-Z_]+)` \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    assert row, f"docs/configuration.md has no row for {name}"
    assert row[1] == config.environment_variable(name)
    assert len(row[3]) > 20


def test_no_documented_setting_is_made_up():
    documented = set(re.findall(r"^\| `([a-z_]+)` \| `JUPYTER_KUEUE_", PAGE, re.MULTILINE))
    assert documented == set(TRAITS)


def test_a_file_wins_over_the_environment_and_that_over_the_default():
    environ = {"JUPYTER_KUEUE_NAMESPACE": "of-environment", "JUPYTER_KUEUE_IMAGE": "image"}
    settings = load(Config({"JupyterKueue": {"namespace": "of-file"}}), environ)
    assert settings.namespace == "of-file"
    assert settings.image == "image"
    assert settings.bucket_secret == "jupyter-kueue-bucket"


def test_the_environment_has_text_numbers_switches_and_json():
    environ = {
        "JUPYTER_KUEUE_MAX_TIMEOUT_SECONDS": "60",
        "JUPYTER_KUEUE_IN_CLUSTER": "true",
        "JUPYTER_KUEUE_PROFILES": '{"one": {"cpu": "1", "default": true}}',
        "JUPYTER_KUEUE_CONTEXT": "",
    }
    settings = load(None, environ)
    assert settings.max_timeout_seconds == 60
    assert settings.in_cluster is True
    assert settings.profiles == {"one": {"cpu": "1", "default": True}}
    assert settings.context is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAX_TIMEOUT_SECONDS", "two"),
        ("GRACE_PERIOD_SECONDS", "-7"),
        ("PROFILES", "["),
        ("PROFILES", "[]"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_what_cannot_be_is_named(name: str, text: str):
    with pytest.raises(errors.NotConfiguredError) as caught:
        load(None, {f"JUPYTER_KUEUE_{name}": text})
    assert name in caught.value.message.upper()


@pytest.mark.parametrize(
    ("configured", "environ", "owner"),
    [
        ("asked", {"JUPYTERHUB_USER": "hub"}, "asked"),
        (None, {"JUPYTERHUB_USER": "hub"}, "hub"),
        (None, {"JUPYTER_KUEUE_OWNER": "env", "JUPYTERHUB_USER": "hub"}, "env"),
    ],
)
def test_the_owner(configured: str | None, environ: dict[str, str], owner: str):
    values = {"owner": configured} if configured else {}
    assert load(Config({"JupyterKueue": values}), environ).owner == owner


def test_there_is_always_an_owner():
    assert load(None, {}).owner


def test_the_built_in_profiles_are_possible_requests():
    for profile in config.BUILT_IN_PROFILES.values():
        run_request.parse_resources({key: profile[key] for key in ("cpu", "memory", "gpus")})
    assert sum(profile.get("default", False) for profile in config.BUILT_IN_PROFILES.values()) == 1
