"""The OpenAPI document of the routes, for people and for generators of clients."""

from __future__ import annotations

import itertools
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from jupyter_kueue import __version__
from jupyter_kueue.domain import errors
from jupyter_kueue.server.base import MAX_BODY_BYTES, PREFIX
from jupyter_kueue.server.path_parameters import PATH_PARAMETERS, names_in
from jupyter_kueue.server.route import JSON
from jupyter_kueue.server.schemas import parameters, reference, schemas
from jupyter_kueue.server.signature import signature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jupyter_kueue.server.route import Answer, Header, Route

Json = dict[str, Any]

TAGS = {
    "runs": "Notebook runs.",
    "schedules": "What runs on a schedule, or on demand.",
    "choices": "What a run can be submitted to and with.",
    "server": "Changes, and the health of the setup.",
}
_TEXT: Json = {"type": "string"}
_ERROR: Json = {"$ref": "#/components/responses/Error"}
_ERROR_BODY: Json = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
# What each route may answer before its handler is asked.
_BAD_JSON = (400, "bad-request", "The body is not valid JSON.")
_NOT_ALLOWED = (403, "forbidden", "Not logged in, or not allowed.")


def describe(routes: Sequence[Route]) -> Json:
    """Return the OpenAPI document of these routes."""
    signatures = [signature_of(route.handler) for route in routes]
    bodies = [found.body for found in signatures if found.body is not None]
    answers = [found.answer for found in signatures if found.answer is not None]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jupyter-kueue",
            "summary": "Queue notebook runs on a shared Kubernetes cluster with Kueue.",
            "description": "Every request needs the Jupyter server's authentication "
            "(`Authorization: token …`) and, with an authorizer, permission on the resource "
            "`jupyter_kueue`. Unknown fields and unknown query parameters are refused. Times are "
            "RFC 3339 in UTC. docs/rest.md describes the same with examples.",
            "version": __version__,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": f"/{PREFIX}"}],
        "security": [{"token": []}, {"cookie": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {
            f"/{path}": _path(path, of_path)
            for path, of_path in itertools.groupby(routes, attrgetter("path"))
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token <the server's token>`",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "username",
                    "description": "A browser's login, with the header X-XSRFToken.",
                },
            },
            "responses": {
                "Error": {
                    "description": "Any other error: 405 no such verb, 500 an internal error.",
                    "content": _ERROR_BODY,
                }
            },
            "schemas": schemas(bodies, answers),
        },
    }


def _path(path: str, routes: Iterable[Route]) -> Json:
    shared = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARAMETERS[name].description,
            "schema": dict(PATH_PARAMETERS[name].schema),
        }
        for name in names_in(path)
    ]
    verbs = {route.verb.lower(): _operation(route) for route in routes}
    return {"parameters": shared, **verbs} if shared else verbs


def _operation(route: Route) -> Json:
    signature = signature_of(route.handler)
    operation: Json = {
        "tags": [route.tag],
        "operationId": route.operation,
        "summary": route.summary,
    }
    if route.description:
        operation["description"] = route.description
    taken = [] if signature.query is None else parameters(signature.query)
    taken += [
        {"name": header.name, "in": "header", "description": header.description, "schema": _TEXT}
        for header in route.headers
    ]
    if taken:
        operation["parameters"] = taken
    if signature.body is not None:
        operation["requestBody"] = {
            "required": route.is_body_required,
            "content": {JSON: {"schema": reference(signature.body)}},
        }
    answer = {"type": "object"} if signature.answer is None else reference(signature.answer)
    operation["responses"] = {
        **{str(status): _answer(item, answer) for status, item in route.answers.items()},
        **_errors(route, has_body=signature.body is not None),
        "default": _ERROR,
    }
    return operation


def _answer(answer: Answer, model: Json) -> Json:
    described: Json = {"description": answer.description}
    if answer.headers:
        described["headers"] = {item.name: _header(item) for item in answer.headers}
    if answer.media_type == JSON:
        described["content"] = {JSON: {"schema": model}}
    elif answer.media_type is not None:
        schema = {**_TEXT, "contentEncoding": "binary"} if answer.is_binary else _TEXT
        described["content"] = {answer.media_type: {"schema": schema}}
    return described


def _header(header: Header) -> Json:
    described: Json = {"description": header.description} if header.description else {}
    return {**described, "schema": _TEXT}


def _errors(route: Route, *, has_body: bool) -> Json:
    """Return the errors of a route by status, each with its codes and when it comes."""
    found = [_NOT_ALLOWED, _of(errors.InvalidRequestError)]
    if has_body:
        most = MAX_BODY_BYTES // 2**20
        found += [_BAD_JSON, (413, "too-large", f"The body is larger than {most} MiB.")]
    found += [_of(error) for error in route.errors]
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for status, reason, when in found:
        by_status[status].append(f"`{reason}`: {when}")
    return {
        str(status): {"description": " ".join(whens), "content": _ERROR_BODY}
        for status, whens in sorted(by_status.items())
    }


def _of(error: type[errors.JupyterKueueError]) -> tuple[int, str, str]:
    when = (error.__doc__ or "").partition("\n\n")[0]
    return error.status, error.reason, " ".join(when.split())
