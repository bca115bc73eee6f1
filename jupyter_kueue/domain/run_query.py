"""Which runs a list shows: the query parameters of ``GET runs``, once. Pure."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain import errors
from jupyter_kueue.domain.query_types import (
    Limit,
    ListCursor,
    SearchText,
    both_ways,
    wrong_with_page,
)
from jupyter_kueue.domain.run_row import STATES

SortField = Literal["created_at", "name", "state", "local_queue", "finished_at"]
SORT_FIELDS: tuple[SortField, ...] = get_args(SortField)

# The sentence about an unknown state lists the known ones.
_State = Annotated[str, Field(json_schema_extra={"enum": [*STATES]})]


@dataclass(frozen=True)
class RunQuery:
    """Which runs a list shows. Empty tuples do not filter."""

    states: Annotated[tuple[_State, ...], Field(alias="state", description="Repeatable.")] = ()
    local_queues: Annotated[
        tuple[str, ...], Field(alias="local_queue", description="Repeatable.")
    ] = ()
    schedule_ids: Annotated[
        tuple[str, ...], Field(alias="schedule_id", description="Repeatable.")
    ] = ()
    text: SearchText | None = None
    sort: Annotated[
        str,
        Field(
            description="A field, with `-` in front for descending order.",
            json_schema_extra=both_ways(SORT_FIELDS),
        ),
    ] = "-created_at"
    limit: Limit = 50
    cursor: ListCursor | None = None

    def check(self) -> None:
        """Raise InvalidRequestError naming each field that is out of bounds."""
        wrong = {}
        unknown = [state for state in self.states if state not in STATES]
        if unknown:
            wrong["state"] = say(
                "state-unknown",
                "{value} is not a known state; known states: {states}",
                value=repr(unknown[0][:40]),
                states=STATES,
            )
        wrong |= wrong_with_page(self.sort, self.limit, SORT_FIELDS)
        if wrong:
            raise errors.InvalidRequestError(wrong)
