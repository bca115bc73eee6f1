"""What all handlers share: who may ask, how a request is read, how an error is answered.

It is the one place where the error tree becomes HTTP. No handler writes an error by itself, and a
traceback goes to the log, never to the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_kueue import patience
from jupyter_kueue.contract import sentences
from jupyter_kueue.contract.sentences import Sentence, foreign, say
from jupyter_kueue.domain import errors, strict_json
from jupyter_kueue.server import streams
from jupyter_kueue.service import application

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine, Mapping

    from jupyter_kueue.domain.error_body import Error
    from jupyter_kueue.server.streams import Streams
    from jupyter_kueue.service.application import Application

# Where all routes are, below the server's base URL.
PREFIX = "jupyter-kueue"

MAX_BODY_BYTES = 4 * 2**20
# A body that is too large is read on up to here, and dropped: whoever still sends hears no answer.
_HEARD_OUT_BYTES = 64 * 2**20

# One reason for each status that Jupyter or tornado may answer with by itself.
_REASONS = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
}


# Else tornado reads up to half a gigabyte before anybody looks, and parses forms of that size.
@web.stream_request_body
class KueueHandler(APIHandler):
    """Base of all handlers. Each verb carries ``@web.authenticated`` and ``@authorized``.

    Attributes:
        sends_users_text: whether answers are what users wrote.
    """

    auth_resource = "jupyter_kueue"
    sends_users_text = False

    _stream: asyncio.Future[None] | None = None
    _body_bytes = 0

    @property
    def kueue(self) -> Application:
        """The application of this server; tornado's own ``application`` is another."""
        found: Application = self.settings[application.SETTING]
        return found

    # --- Reading a request -----------------------------------------------------------------------

    def initialize(self) -> None:
        """Begin with no body."""
        self._body = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]  # Jupyter's own way to call it
        """Refuse what cannot be read, before it is sent."""
        await super().prepare()
        length = self.request.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit() and int(length[:18]) > _HEARD_OUT_BYTES:
            raise _too_large(say("body-has-bytes", "has {bytes} bytes", bytes=length[:18]))

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, as long as it is not too large."""
        self._body_bytes += len(chunk)
        if self._body_bytes <= MAX_BODY_BYTES:
            self._body += chunk
        elif self._body_bytes > _HEARD_OUT_BYTES and not self._finished:
            error = _too_large(say("body-too-long", "is too long"))
            self.send_error(error.status, exc_info=(type(error), error, None))

    def json_body(self, *, required: bool = True) -> Any:
        """Return the body as strict JSON; ``{}`` for an empty one that is not required."""
        if self._body_bytes > MAX_BODY_BYTES:
            raise _too_large(say("body-has-bytes", "has {bytes} bytes", bytes=self._body_bytes))
        if not self._body and not required:
            return {}
        try:
            return strict_json.loads(bytes(self._body))
        except ValueError as error:
            what = str(error)[:200]
            said = say("body-no-json", "The body is not valid JSON: {problem}.", problem=what)
            raise web.HTTPError(400, "%s", said) from error

    def query_values(self) -> dict[str, list[str]]:
        """Return the values of each query parameter, as text."""
        return {
            name: self.get_query_arguments(name, strip=False)
            for name in self.request.query_arguments
        }

    # --- Answering -------------------------------------------------------------------------------

    @property
    def content_security_policy(self) -> str:
        """Add a sandbox to what users wrote: were a browser to render it, it could do nothing."""
        policy: str = super().content_security_policy
        return f"{policy}; sandbox" if self.sends_users_text else policy

    def set_default_headers(self) -> None:
        """Let no cache keep what a run says about somebody's work."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> str | None:
        """Return None: where an answer has an ETag, its handler sets it."""
        return None

    @property
    def is_finished(self) -> bool:
        """Whether the whole answer was sent."""
        return self._finished

    def set_location(self, *path: str) -> None:
        """Say where what was made is: at ``path`` below the prefix."""
        self.set_header("Location", url_path_join(self.base_url, PREFIX, *path))

    async def send_stream(self, send: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``send``, which writes an answer bit by bit, until it ends or nobody listens."""
        stream = asyncio.ensure_future(send())
        self._stream = stream
        open_streams: Streams = self.settings[streams.SETTING]
        open_streams.add(stream)
        try:
            await asyncio.wait([stream])
        finally:
            stream.cancel()
            open_streams.discard(stream)
        if not stream.cancelled():
            with contextlib.suppress(StreamClosedError):
                stream.result()

    async def send_chunks(self, chunks: AsyncIterable[bytes]) -> None:
        """Write a body as it comes, none of it before the listener has taken what was before."""

        async def send() -> None:
            async for chunk in chunks:
                self.write(chunk)
                await self.flush()

        await self.send_stream(send)

    def on_connection_close(self) -> None:
        """End a stream whose listener went away."""
        super().on_connection_close()
        if self._stream is not None:
            self._stream.cancel()

    @allow_unauthenticated
    def options(self, *args: Any, **kwargs: Any) -> None:
        """Say which verbs the route has, as a browser asks before a request of another origin."""
        super().options(*args, **kwargs)
        self.set_header("Allow", self._verbs())
        self.set_status(http.HTTPStatus.NO_CONTENT)

    def _verbs(self) -> str:
        """Return the verbs that this route has, as they stand in a header."""
        missing = web.RequestHandler._unimplemented_method  # noqa: SLF001 - tornado's mark of it
        return ", ".join(
            verb
            for verb in self.SUPPORTED_METHODS
            if getattr(type(self), verb.lower(), missing) is not missing
        )

    # --- Errors ----------------------------------------------------------------------------------

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status that the error tree gives."""
        error = _error_in(kwargs)
        status = error.status if isinstance(error, errors.JupyterKueueError) else status_code
        super().send_error(status, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write ``{"message", "sentence", "reason", "fields", "field_sentences"}``."""
        error = _error_in(kwargs)
        reason = _REASONS.get(status_code, "internal")
        if isinstance(error, errors.JupyterKueueError):
            body = said(error)
        elif isinstance(error, web.HTTPError):
            body = _said(self._in_words(status_code, error), reason, {})
        else:
            mistake = say(
                "mistake",
                "An internal error occurred. Try again; if this lasts, see "
                "the server's log and report it.",
            )
            body = _said(mistake, reason, {})
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", self._verbs())
        if status_code == http.HTTPStatus.SERVICE_UNAVAILABLE:
            self.set_header("Retry-After", str(patience.RETRY_AFTER_SECONDS))
        self.finish(strict_json.encode(body))

    def _in_words(self, status_code: int, error: web.HTTPError) -> Sentence:
        """Return what to say of an error of Jupyter's or tornado's own."""
        if status_code in (401, 403) and self.current_user is None:
            return say(
                "not-logged-in",
                "You are not logged in. Send the header `Authorization: token …` with "
                "the server's token, or log in to JupyterLab in this browser.",
            )
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            return say(
                "no-such-verb",
                "{verb} is not supported here. Use {verbs}.",
                verb=self.request.method or "",
                verbs=self._verbs(),
            )
        said = error.log_message or error.reason or http.HTTPStatus(status_code).phrase
        if len(error.args) == 1 and isinstance(error.args[0], Sentence):
            return error.args[0]
        text = str(said % error.args if error.args else said)
        if "_xsrf" in text:
            return say(
                "xsrf-missing",
                "The header `X-XSRFToken` with the cookie `_xsrf` is missing. Reload the page.",
            )
        return foreign(text)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log an expected error as one line, anything else with its traceback."""
        if isinstance(value, errors.JupyterKueueError):
            # The path alone: the query may hold the token.
            where = f"{self.request.method} {self.request.path}"
            self.log.info("%s -> %s: %s", where, value.reason, value.message)
        else:
            super().log_exception(typ, value, tb)


class UnknownRouteHandler(KueueHandler):
    """Whatever else lies below our prefix: nothing, said as all errors are."""

    async def prepare(self) -> None:  # type: ignore[override]  # Jupyter's own way to call it
        """Answer 404, whatever the verb is."""
        await super().prepare()
        if self.current_user is None:
            raise web.HTTPError(403)
        raise errors.NotFoundError(
            say(
                "no-such-route",
                "There is no route {path}; GET openapi.json lists all routes.",
                path=self.request.path[:200],
            )
        )


def _too_large(how: Sentence) -> errors.TooLargeError:
    return errors.TooLargeError(
        say(
            "body-too-large",
            "The body {how}; the limit is {most} bytes. Put large data into a file "
            "next to the notebook.",
            how=how,
            most=MAX_BODY_BYTES,
        )
    )


def said(error: errors.JupyterKueueError) -> Error:
    """Return what is answered of an error."""
    if isinstance(error, errors.InvalidRequestError | errors.TooLargeError):
        return _said(error.message, error.reason, error.fields)
    return _said(error.message, error.reason, {})


def _said(message: Sentence, reason: str, fields: Mapping[str, Sentence]) -> Error:
    """Return the same; where fields say it, they have the codes."""
    return {
        "message": message,
        "sentence": sentences.as_json(message),
        "reason": reason,
        "fields": dict(fields),
        "field_sentences": {field: sentences.as_json(text) for field, text in fields.items()},
    }


def _error_in(kwargs: Mapping[str, Any]) -> BaseException | None:
    exc_info = kwargs.get("exc_info")
    error: BaseException | None = exc_info[1] if exc_info else None
    return error
