"""Lists sorted by several fields, page by page."""

from __future__ import annotations

import itertools
import random

import pytest
from jupyter_scheduler.models import SortDirection, SortField

from jupyter_kueue.domain import errors
from jupyter_kueue.scheduler import selecting

FIELDS = {name: lambda row, name=name: row[name] for name in ("created_at", "name", "state")}
ORDERS = [
    order
    for count in range(3)
    for names in itertools.permutations(FIELDS, count)
    for directions in itertools.product(SortDirection, repeat=count)
    for order in [
        [SortField(name=name, direction=to) for name, to in zip(names, directions, strict=True)]
    ]
]


def rows(count):
    """Return rows in the order of creation, of which many are alike in each field."""
    chosen = random.Random(count)
    made = [
        {
            "id": f"{number:04}",
            "created_at": f"2030-01-{chosen.randint(1, 9):02}",
            "name": chosen.choice("abc"),
            "state": chosen.choice(["failed", "queued"]),
        }
        for number in range(count)
    ]
    return sorted(made, key=lambda row: (row["created_at"], row["id"]))


def described(order):
    return " ".join(f"{item.direction.value}-{item.name}" for item in order) or "as created"


@pytest.mark.parametrize("sort_by", ORDERS, ids=described)
def test_pages_put_together_are_the_list_in_the_order_asked_for(sort_by):
    order = selecting.Sorted(FIELDS).by(rows(60), sort_by)
    assert sorted(row["id"] for row in order.rows) == sorted(row["id"] for row in rows(60))
    newest_first = bool(sort_by) and sort_by[0].direction == SortDirection.desc
    for one, next_one in itertools.pairwise(order.rows):
        for item in sort_by:
            is_descending = item.direction == SortDirection.desc
            if one[item.name] != next_one[item.name]:
                assert (one[item.name] > next_one[item.name]) == is_descending
                break
        else:
            created = [(row["created_at"], row["id"]) for row in (one, next_one)]
            assert (created[0] > created[1]) == newest_first
    seen, token = [], None
    while True:
        shown, token = order.page(7, token, "id")
        seen += shown
        if token is None:
            break
    assert seen == list(order.rows)


@pytest.mark.parametrize("sort_by", ORDERS[1:], ids=described)
def test_a_page_goes_on_behind_the_one_before_whoever_came_and_went(sort_by):
    all_rows = rows(60)
    known = selecting.Sorted(FIELDS)
    whole = known.by(all_rows, sort_by)
    first, token = whole.page(20, None, "id")
    gone = {first[-1]["id"], first[3]["id"]}
    left = [row for row in all_rows if row["id"] not in gone]
    second, _ = known.by(left, sort_by).page(20, token, "id")
    assert second == list(whole.rows[20:40])


def test_what_is_filtered_stays_in_order():
    order = selecting.Sorted(FIELDS).by(rows(60), ORDERS[-1])
    wanted = order.filtered(lambda row: row["name"] == "a")
    assert wanted.rows == [row for row in order.rows if row["name"] == "a"]


def test_rows_that_changed_are_sorted_anew():
    known = selecting.Sorted(FIELDS)
    by_name = [SortField(name="name", direction=SortDirection.asc)]
    before = rows(5)
    known.by(before, by_name)
    after = [{**row, "name": "z" if row["id"] == "0000" else row["name"]} for row in before]
    assert known.by(after, by_name).rows[-1]["id"] == "0000"


def test_a_token_of_another_order_is_refused():
    known = selecting.Sorted(FIELDS)
    _, token = known.by(rows(9), ORDERS[1]).page(2, None, "id")
    for order, wrong in ((ORDERS[2], token), (ORDERS[1], "7"), (ORDERS[1], "eyJhIjogMX0=")):
        with pytest.raises(errors.InvalidRequestError, match="next_token"):
            known.by(rows(9), order).page(2, wrong, "id")
