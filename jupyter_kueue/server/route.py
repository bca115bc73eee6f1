"""What one row of the table of routes says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from jupyter_kueue.domain.errors import JupyterKueueError

JSON = "application/json"


@dataclass(frozen=True)
class Header:
    """A header of requests or answers."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class Answer:
    """One way in which a route answers.

    Attributes:
        media_type: None where the answer has no body. A body in JSON is what the handler returns.
        is_binary: whether the body is bytes rather than text.
    """

    description: str
    media_type: str | None = JSON
    headers: tuple[Header, ...] = ()
    is_binary: bool = False


@dataclass(frozen=True)
class Route:
    """One verb on one path.

    Attributes:
        verb: in capitals.
        path: below ``jupyter-kueue/``; each name in braces is one of ``server.path_parameters``.
        handler: an async function that takes the request, each parameter of the path by its name,
            ``query`` and ``body`` where it has them, and returns what is sent as JSON. Its
            annotations name the models (``server.models``): they are both what mypy checks and
            what the request is parsed with. One that sends its answer itself returns None.
        summary: for the documents, in Markdown.
        tag: the group in the documents, one of ``server.openapi.TAGS``.
        answers: by status. The first is sent unless the handler sets another.
        errors: what the handler raises, beside what every route may raise.
        headers: those of a request that the handler reads.
        is_body_required: whether an empty body is an error; otherwise it stands for ``{}``.
        may_be_kept: whether a browser may keep the answer, and ask each time whether it has
            changed. All others are never kept: they are about somebody's work.
        sends_users_text: whether the answer is what users wrote, which no browser may execute.
        is_activity: whether a request keeps a server alive that stops when it is idle.
        description: more than the summary.
    """

    verb: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    errors: tuple[type[JupyterKueueError], ...] = ()
    headers: tuple[Header, ...] = ()
    is_body_required: bool = True
    may_be_kept: bool = False
    sends_users_text: bool = False
    is_activity: bool = True
    description: str = ""
    operation: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the operation after its handler, as generators of clients do: ``listRuns``."""
        first, *others = self.handler.__name__.split("_")
        object.__setattr__(self, "operation", first + "".join(map(str.capitalize, others)))
