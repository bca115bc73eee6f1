from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue_local.node import downward
from jupyter_kueue_local.node.environment import expand

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
POD = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u",
        "labels": {"b/x": "2", "a": 'say "hi"\n'},
        "annotations": {},
    },
    "spec": {"nodeName": "node"},
}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$(C)", "$(A)"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2", "C": "$(A)"}) == expanded


@given(name=NAMES, value=st.text(max_size=20), before=st.text(alphabet="ab (){}", max_size=8))
def test_a_reference_becomes_its_value_wherever_it_stands(
    name: str, value: str, before: str
) -> None:
    assert expand(f"{before}$({name})", {name: value}) == before + value


@given(text=st.text(alphabet="ab$() ", max_size=30))
def test_escaped_text_comes_out_as_it_was(text: str) -> None:
    assert expand(text.replace("$", "$$"), {"a": "1", "b": "2"}) == text


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.uid", "u"),
        ("metadata.labels['b/x']", "2"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'a="say \\"hi\\"\\n"\nb/x="2"'),
        ("spec.nodeName", "node"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_downward_api(path: str, value: str) -> None:
    assert downward.field_value(POD, path, "127.0.0.1") == value


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(downward.UnsupportedFieldError, match=r"spec\.nothing"):
        downward.field_value(POD, "spec.nothing", "127.0.0.1")


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", None, str(64 * 2**20)),
        ("limits.cpu", None, "8"),
        ("requests.cpu", None, "1"),
        ("requests.cpu", "1m", "250"),
    ],
)
def test_amounts_of_the_downward_api_are_rounded_up(
    resource: str, divisor: str | None, value: str
) -> None:
    container = {"resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}}
    reference = {"resource": resource, "divisor": divisor}
    assert downward.resource_value(container, reference, {"cpu": "8", "memory": "1Gi"}) == value
