"""Makes tornado's handlers from the table of routes: one class for the verbs of each path.

Here, and nowhere else, a request is parsed: each handler receives what its route declares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_kueue.domain import strict_json
from jupyter_kueue.server.base import KueueHandler
from jupyter_kueue.server.path_parameters import PATH_PARAMETERS, names_in
from jupyter_kueue.server.signature import signature_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jupyter_kueue.server.route import Route


def handler_class(routes: Sequence[Route]) -> type[KueueHandler]:
    """Return the class that answers ``routes``, which are those of one path.

    A verb that is not among them is answered with 405, as tornado does.
    """
    attributes = {
        "__doc__": f"``{routes[0].path}``.",
        "__module__": __name__,
        "sends_users_text": any(route.sends_users_text for route in routes),
        # What Jupyter looks at.
        "_track_activity": all(route.is_activity for route in routes),
        **{route.verb.lower(): _method(route) for route in routes},
    }
    return type(routes[0].handler.__name__, (KueueHandler,), attributes)


def _method(route: Route) -> Callable[..., Awaitable[None] | None]:
    @web.authenticated
    @authorized
    async def method(handler: KueueHandler, *path: str) -> None:
        await _answer(route, handler, path)

    method.__doc__ = route.summary
    return method


async def _answer(route: Route, handler: KueueHandler, path: Sequence[str]) -> None:
    """Parse the request, call the route's handler and send what it returns."""
    arguments = _arguments(route, handler, path)
    handler.set_status(next(iter(route.answers)))
    if route.may_be_kept:
        handler.set_header("Cache-Control", "private, no-cache")
    answer = await route.handler(handler, **arguments)
    if answer is not None:
        handler.finish(strict_json.encode(answer))
    elif not handler.is_finished:
        handler.finish()


def _arguments(route: Route, handler: KueueHandler, path: Sequence[str]) -> dict[str, Any]:
    """Return what a route's handler takes.

    Raises:
        InvalidRequestError: naming each wrong query parameter, or each wrong field of the body.
        NotFoundError: nothing can be at this path.
        HTTPError: the body is not JSON.
    """
    # Slow to import: Jupyter's start must not pay for them.
    from jupyter_kueue.server.models import BODIES  # noqa: PLC0415
    from jupyter_kueue.server.query import read_query  # noqa: PLC0415

    signature = signature_of(route.handler)
    query = read_query(signature.query, handler.query_values())
    arguments: dict[str, Any] = {} if signature.query is None else {"query": query}
    if signature.body is not None:
        body = handler.json_body(required=route.is_body_required)
        arguments["body"] = BODIES[signature.body](body)
    for name, text in zip(names_in(route.path), path, strict=True):
        arguments[name] = PATH_PARAMETERS[name].read(text)
    return arguments
