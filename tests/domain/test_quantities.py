"""Kubernetes quantities: what the cluster accepts is understood, anything else is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.domain import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("0", 0),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1.", 1),
        ("100u", "0.0001"),
        ("1n", "1e-9"),
        ("4Gi", 4 * 2**30),
        ("128Mi", 128 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1k", 1000),
        ("2E", 2 * 10**18),
        ("2e3", 2000),
        ("1E3", 1000),
        ("1e-07", "1e-7"),
        ("-1", -1),
        ("+1", 1),
        (" 2 ", 2),
    ],
)
def test_an_amount_is_read_as_kubernetes_reads_it(text: str, value: int | str) -> None:
    assert quantities.parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "two", "1 Gi", "4GB", "4gi", "1e3Gi", "0x10", "NaN", "inf", "1_000"),
        *("1,5", "--1", "٣", "1e999", "9" * 19, "9" * 10_000, "2\n3", "Gi"),
    ],
)
def test_what_is_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="use for example 2, 500m or 4Gi") as caught:
        quantities.parse(text)
    assert len(str(caught.value)) < 150


@given(st.text(max_size=20))
def test_any_text_is_an_amount_or_a_refusal(text: str) -> None:
    try:
        value = quantities.parse(text)
    except ValueError:
        return
    assert value.is_finite()


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [("2", 2, int), ("500m", 0.5, float), (3, 3, int), ("1Ki", 1024, int)],
)
def test_a_number_is_whole_where_it_can_be(text: str | int, value: float, kind: type) -> None:
    assert quantities.number(text) == value
    assert type(quantities.number(text)) is kind


@pytest.mark.parametrize(
    ("resource", "value", "words"),
    [
        ("nvidia.com/gpu", 1, "1 GPU"),
        ("nvidia.com/gpu", 2, "2 GPUs"),
        ("nvidia.com/gpu", 0, "0 GPUs"),
        ("cpu", 1.5, "1.5 CPUs"),
        ("cpu", 1, "1 CPU"),
        ("cpu", 1 / 3, "0.33 CPUs"),
        ("memory", 4 * 2**30, "4 GiB of memory"),
        ("memory", 1.5 * 2**30, "1.5 GiB of memory"),
        ("memory", 512 * 2**20, "512 MiB of memory"),
        ("memory", 2**10, "1 KiB of memory"),
        ("memory", 12, "12 bytes of memory"),
        ("example.com/fpga", 2, "2 example.com/fpga"),
    ],
)
def test_an_amount_in_words(resource: str, value: float, words: str) -> None:
    assert quantities.in_words(resource, value) == words
