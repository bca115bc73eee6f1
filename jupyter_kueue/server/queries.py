"""The query parameters of routes other than lists, whose parameters are ``domain``'s."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jupyter_kueue.contract.sentences import say
from jupyter_kueue.domain.query_types import MAX_LIMIT, QueryFlag, whole_number

MAX_TAIL = 1_000_000


def _run_ids(values: Any) -> Any:
    if not 1 <= len(values) <= MAX_LIMIT:
        raise ValueError(
            say(
                "run-ids-needed",
                "must be given once for each run to delete, 1 to {most} times",
                most=MAX_LIMIT,
            )
        )
    return values


@dataclass(frozen=True)
class DeletionQuery:
    """Which runs to delete."""

    run_ids: Annotated[
        tuple[str, ...],
        Field(
            alias="run_id",
            min_length=1,
            max_length=MAX_LIMIT,
            description=f"Repeatable, up to {MAX_LIMIT} times.",
        ),
        BeforeValidator(_run_ids),
    ]


@dataclass(frozen=True)
class LogQuery:
    """Which part of a log to send."""

    follow: Annotated[QueryFlag, Field(description="Continue until the run has ended.")] = False
    tail: Annotated[
        Annotated[int, Field(ge=0, le=MAX_TAIL), BeforeValidator(whole_number(0, MAX_TAIL))] | None,
        Field(description="Only this number of last lines."),
    ] = None


@dataclass(frozen=True)
class ChangesQuery:
    """Where the stream starts."""

    since: Annotated[str | None, Field(description="Cursor of the last event seen.")] = None
