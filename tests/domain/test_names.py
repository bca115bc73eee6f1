"""Names that reach the cluster and the bucket: safe there, and never the same for two things."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.domain import names

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

any_text = st.text(st.characters(), max_size=80)  # lone surrogates included


@given(any_text)
def test_any_user_name_becomes_a_label_and_a_key(owner: str) -> None:
    slug = names.owner_slug(owner)
    assert LABEL_VALUE.fullmatch(slug)
    assert "/" not in slug
    assert "." not in slug


@given(st.sets(any_text, min_size=2, max_size=20))
def test_different_users_never_share_a_slug(owners: set[str]) -> None:
    assert len({names.owner_slug(owner) for owner in owners}) == len(owners)


@given(any_text)
def test_a_made_slug_cannot_be_claimed_by_a_user_of_that_name(owner: str) -> None:
    slug = names.owner_slug(owner)
    assert slug == owner or names.owner_slug(slug) != slug


@pytest.mark.parametrize("owner", ["ada", "u1", "a-b", "7", "a" * 40])
def test_a_plain_user_name_is_kept(owner: str) -> None:
    assert names.owner_slug(owner) == owner


@pytest.mark.parametrize(
    ("owner", "beginning"),
    [
        ("Ada", "ada--"),
        ("ada@example.com", "ada-example-com--"),
        ("../../etc", "etc--"),
        ("a" * 41, "a" * 40 + "--"),
        ("用户", "user--"),
        ("", "user--"),
        ("a--b", "a-b--"),
        ("a\n", "a--"),
    ],
)
def test_any_other_name_keeps_what_an_admin_recognizes(owner: str, beginning: str) -> None:
    assert re.fullmatch(re.escape(beginning) + "[0-9a-f]{8}", names.owner_slug(owner))


def test_a_fresh_job_id_gives_valid_names_and_is_never_repeated() -> None:
    ids = {names.new_run_id() for _ in range(100)}
    assert len(ids) == 100
    for run_id in ids:
        assert names.is_run_id(run_id)
        # A Job's name becomes a label of its pods, so a label's length is the limit.
        assert names.is_dns_label(names.job_name(run_id))


def test_one_idempotency_key_gives_one_id_per_owner() -> None:
    first = names.run_id_of_key("ada", "nightly-7")
    assert first == names.run_id_of_key("ada", "nightly-7")
    assert names.is_run_id(first)
    assert first != names.run_id_of_key("bob", "nightly-7")
    assert first != names.run_id_of_key("ada", "nightly-8")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "../x", "6B4D3A66-93A1-5A52-9A3E-0B7D8A1C2F10", "{id}"),
        "6b4d3a66-93a1-5a52-9a3e-0b7d8a1c2f10\n",
        "6b4d3a66-93a1-5a52-9a3e-0b7d8a1c2f10/..",
        "6b4d3a6693a15a529a3e0b7d8a1c2f10",
    ],
)
def test_nothing_else_is_a_job_id(text: str) -> None:
    assert not names.is_run_id(text)


@pytest.mark.parametrize(
    ("text", "label", "subdomain"),
    [
        ("team-a", True, True),
        ("7", True, True),
        ("a" * 63, True, True),
        ("a" * 64, False, True),
        ("high.prio", False, True),
        ("Team", False, False),
        ("-a", False, False),
        ("a-", False, False),
        ("a\n", False, False),
        ("a/b", False, False),
        ("", False, False),
    ],
)
def test_names_of_objects(text: str, label: bool, subdomain: bool) -> None:
    assert names.is_dns_label(text) is label
    assert names.is_dns_subdomain(text) is subdomain
