"""One authenticated connection to a Kubernetes API server, with raw JSON.

The ``kubernetes`` package provides credentials (kubeconfig with exec plug-ins and OIDC, or
in-cluster) and the HTTP session. It is imported on first use, because its import takes longer than
a server's start may.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from jupyter_kueue import patience
from jupyter_kueue.cluster.availability import STARTING_UP, Availability, kind_of
from jupyter_kueue.cluster.outage_log import OutageLog
from jupyter_kueue.contract.sentences import foreign, say
from jupyter_kueue.domain import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Json = dict[str, Any]

Params = Mapping[str, str | int | bool]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_SERVICE_ACCOUNT_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_SHOWN_BYTES = 256  # of an answer that is not a Kubernetes object
# The answer of an API server that has not read a kind's objects yet (apiserver's storage cacher).
_TOO_MANY = 429
_INITIALIZING = "storage is (re)initializing"
# Kubernetes' default roles allow this to everybody with credentials, once the API server has read
# them (system:public-info-viewer); only then is it ready (the check informer-sync).
_READY = "/readyz"
_MAY_NOT_ASK = f'cannot get path "{_READY}"'
_ITEMS = '"items":['  # as API servers write it; metadata, which may come before, has no such field
_DECODER = json.JSONDecoder()
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Connection:
    """Requests to one API server as one user. Create it with one of the class methods.

    Attributes:
        namespace: the namespace of the kubeconfig's context or of the pod's service account,
            otherwise ``default``.
        host: the API server's address, for messages.
        availability: whether the API server works normally.
    """

    def __init__(self, api_client: Any, namespace: str) -> None:
        self._api_client = api_client
        self.namespace = namespace
        self.host: str = api_client.configuration.host
        self.availability = Availability()
        self._outages = OutageLog(self.host)
        self._is_closed = False

    @classmethod
    async def from_kubeconfig(
        cls, path: str | Path | None = None, context: str | None = None
    ) -> Connection:
        """Connect with a kubeconfig: ``path``, else ``$KUBECONFIG``, else ``~/.kube/config``.

        Raises:
            NotConfiguredError: the file or the context does not exist, or the file cannot be read.
        """
        import yaml  # noqa: PLC0415 - as slow, and needed with it alone
        from kubernetes.aio import client, config  # noqa: PLC0415 - slow to import

        configuration = client.Configuration()
        try:
            await config.load_kube_config(
                config_file=str(path) if path else None,
                context=context,
                client_configuration=configuration,
            )
            _, active = config.list_kube_config_contexts(config_file=str(path) if path else None)
        except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
            where = path or os.environ.get("KUBECONFIG") or "~/.kube/config"
            raise errors.NotConfiguredError(
                say(
                    "no-kubernetes-configuration",
                    "No usable Kubernetes configuration in {where}: {problem}. Set "
                    "KUBECONFIG, or start a local cluster with `jupyter kueue local up` and "
                    'run `eval "$(jupyter kueue local env)"`.',
                    where=str(where),
                    problem=str(error),
                )
            ) from error
        chosen = active
        if context:
            contexts, _ = config.list_kube_config_contexts(config_file=str(path) if path else None)
            chosen = next(item for item in contexts if item["name"] == context)
        namespace = chosen.get("context", {}).get("namespace") or "default"
        connection = cls(_api_client(client, configuration), namespace)
        # The client writes the kubeconfig's private key to a temporary file, which it removes when
        # the process exits normally. The key is read by now; a killed server must not leave it
        # behind.
        config.kube_config._cleanup_temp_files()  # noqa: SLF001 - it offers no other way
        return connection

    @classmethod
    async def in_cluster(cls) -> Connection:
        """Connect as the service account of the pod that this process runs in.

        Raises:
            NotConfiguredError: this is not a pod, or it has no token.
        """
        from kubernetes.aio import client, config  # noqa: PLC0415 - slow to import

        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)
            namespace = await asyncio.to_thread(_read_text, _SERVICE_ACCOUNT_NAMESPACE)
        except (config.ConfigException, OSError) as error:
            raise errors.NotConfiguredError(
                say(
                    "no-service-account-token",
                    "This pod has no service account token ({problem}). Give the pod a "
                    "service account, or set KUBECONFIG.",
                    problem=str(error),
                )
            ) from error
        return cls(_api_client(client, configuration), namespace)

    async def close(self) -> None:
        """Close the connections. Later requests raise ClusterUnavailableError."""
        self._is_closed = True
        await self._api_client.close()
        # aiohttp does not wait for the TLS shutdown of abandoned requests; its documentation
        # advises to leave the loop a moment (docs.aiohttp.org, "Graceful shutdown").
        await asyncio.sleep(patience.CLUSTER_GOODBYE_SECONDS)

    async def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        timeout_seconds: float = patience.CLUSTER_ANSWER_SECONDS,
    ) -> Json:
        """GET ``path`` (beginning with ``/``) and return the parsed JSON object."""
        return await self._call("GET", path, params, timeout_seconds=timeout_seconds)

    async def list(
        self, path: str, params: Params | None = None, *, trim: Callable[[Json], Mapping[str, Any]]
    ) -> Json:
        """GET the collection ``path`` and return the list object, each item reduced by ``trim``.

        The list is requested as a whole, because only then does the API server answer from its
        cache. Pages come from etcd, and take the API server milliseconds per Workload. ``trim`` is
        called in a thread.
        """
        async with self._response("GET", path, params, patience.CLUSTER_LIST_SECONDS) as response:
            try:
                text = await response.read()
            except _network_errors() as error:
                raise self._broken(error) from error
        return await asyncio.to_thread(self._parsed_list, text, trim)

    async def get_text(self, path: str, params: Params | None = None) -> str:
        """GET ``path`` and return the body as text, for logs."""
        async with self._response("GET", path, params, patience.CLUSTER_LOG_SECONDS) as response:
            try:
                return str(await response.text(errors="replace"))
            except _network_errors() as error:
                raise self._broken(error) from error

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST ``body`` to the collection ``path`` and return the object as created.

        Raises:
            ConflictError: an object of that name exists.
        """
        return await self._call("POST", path, None, body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        """PUT ``body`` at ``path`` and return the object as stored."""
        return await self._call("PUT", path, None, body)

    async def patch(
        self,
        path: str,
        body: Any,
        *,
        content_type: str = MERGE_PATCH,
        params: Params | None = None,
    ) -> Json:
        """PATCH ``path`` with ``body`` in the given patch format and return the object."""
        return await self._call("PATCH", path, params, body, content_type=content_type)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """DELETE ``path`` with a DeleteOptions object or None as ``body``; return the answer.

        Raises:
            NotFoundError: it no longer exists.
        """
        return await self._call("DELETE", path, None, body)

    async def watch(
        self,
        path: str,
        params: Params | None = None,
        *,
        timeout_seconds: int = patience.CLUSTER_WATCH_SECONDS,
    ) -> AsyncIterator[Json]:
        """Yield the watch events of the collection ``path``, each ``{"type", "object"}``.

        Ends when the server ends the watch, at the latest after ``timeout_seconds``. That says
        nothing about the objects: watch again from the last resource version.

        Raises:
            ExpiredError: the resource version is too old, list again (HTTP 410, or an ERROR event
                with that code).
        """
        asked: Params = {"watch": "true", "timeoutSeconds": timeout_seconds, **(params or {})}
        longest = timeout_seconds + patience.CLUSTER_WATCH_MARGIN_SECONDS
        async for line in self.stream_lines(path, asked, timeout_seconds=longest):
            event = self._parsed(line)
            if event["type"] == "ERROR":
                raise _error_of(event["object"].get("code", 500), event["object"], path)
            yield event

    async def stream_lines(
        self, path: str, params: Params | None = None, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[bytes]:
        """GET ``path`` and yield the body line by line as it arrives, without line ends."""
        pending = b""
        async for chunk in self.stream_bytes(path, params, timeout_seconds=timeout_seconds):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                yield line
        if pending:
            yield pending

    async def stream_bytes(
        self, path: str, params: Params | None = None, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[bytes]:
        """GET ``path`` and yield the body as it arrives."""
        async with self._response("GET", path, params, timeout_seconds) as response:
            try:
                async for chunk in response.content.iter_any():
                    yield chunk
            except _network_errors() as error:
                raise self._broken(error) from error

    async def _call(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout_seconds: float = patience.CLUSTER_ANSWER_SECONDS,
    ) -> Json:
        async with self._response(
            method, path, params, timeout_seconds, body, content_type
        ) as response:
            try:
                text = await response.read()
            except _network_errors() as error:
                raise self._broken(error) from error
        return self._parsed(text) if text else {}

    def _parsed(self, text: bytes) -> Json:
        """Return a JSON object; anything else is an incomplete answer or a proxy's page."""
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            # A proxy that loses its connection to the server may end a body normally.
            raise (
                self._broken(error) if text.startswith(b"{") else self._not_the_api(text)
            ) from error
        if not isinstance(parsed, dict):
            raise self._not_the_api(text)
        return parsed

    def _parsed_list(self, text: bytes, trim: Callable[[Json], Mapping[str, Any]]) -> Json:
        """Return a list object, parsed item by item if it is as API servers write it.

        A thousand objects are tens of megabytes: parsing all at once would block other threads, and
        the objects need ten times as much memory before they are trimmed.
        """
        try:
            return _parse_items(text.decode(), trim)
        except (ValueError, IndexError):
            parsed = self._parsed(text)
        return {**parsed, "items": [trim(item) for item in parsed["items"] or []]}

    def _not_the_api(self, text: bytes) -> errors.ClusterUnavailableError:
        shown = text[:_SHOWN_BYTES].decode(errors="replace")
        return errors.ClusterUnavailableError(
            say(
                "no-kubernetes-api",
                "{host} did not answer like a Kubernetes API: {answer}. Check the "
                "address in the kubeconfig, and any proxy in between.",
                host=self.host,
                answer=repr(shown),
            )
        )

    def _refused(
        self, kind: tuple[str, str], code: int, status: Json, path: str
    ) -> errors.JupyterKueueError:
        """Return the error for a refused request; a refusal that may pass counts as an outage."""
        if code == _TOO_MANY and _INITIALIZING in str(status.get("message")):
            self.availability.note_start()
            return errors.ClusterUnavailableError(
                say("cluster-starting-up", "The cluster is starting up. Try again in a moment.")
            )
        error = _error_of(code, status, path)
        if isinstance(error, errors.ForbiddenError) and self.availability.may_pass(kind):
            return errors.ClusterUnavailableError(STARTING_UP)
        return error

    async def _is_starting(self) -> bool:
        """Return whether an API server that refuses a request has just started."""
        try:
            async with self._response("GET", _READY, None, patience.CLUSTER_READY_SECONDS):
                return False
        except errors.ForbiddenError as error:
            return _MAY_NOT_ASK in error.message
        except errors.ClusterUnavailableError:
            return True
        except errors.JupyterKueueError:
            return False

    def _broken(self, error: BaseException) -> errors.ClusterUnavailableError:
        return errors.ClusterUnavailableError(
            say(
                "cluster-connection-broke",
                "The connection to the Kubernetes API at {host} was lost ({problem}). "
                "Try again in a moment.",
                host=self.host,
                problem=str(error) or type(error).__name__,
            )
        )

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        params: Params | None,
        timeout_seconds: float | None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[Any]:
        import aiohttp  # noqa: PLC0415 - comes with the client, slow to import

        headers = {"Accept": "application/json", "Content-Type": content_type}
        # Evaluated each time: this renews the token of an exec plug-in or a service account.
        for setting in (await self._api_client.configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        query = f"?{urlencode(params)}" if params else ""
        if self._is_closed:
            raise errors.ClusterUnavailableError(
                say(
                    "server-stopping-or-reconnecting",
                    "The server is stopping or reconnecting to the cluster. Try again in a moment.",
                )
            )
        try:
            answer = await self._api_client.rest_client.request(
                method,
                f"{self.host}{path}{query}",
                headers=headers,
                body=body,
                _request_timeout=aiohttp.ClientTimeout(
                    total=timeout_seconds, sock_connect=patience.CLUSTER_CONNECT_SECONDS
                ),
            )
        except _network_errors() as error:
            self._outages.note_failure(f"{method} {path}", str(error) or type(error).__name__)
            self.availability.note_silence()
            # A passing error needs no details from the system; a certificate must be fixed.
            raise errors.ClusterUnavailableError(
                say(
                    "cluster-certificate",
                    "The cluster does not answer (its Kubernetes API at {host}: {problem}). Try "
                    "again in a moment.",
                    host=self.host,
                    problem=str(error),
                )
                if isinstance(error, aiohttp.ClientSSLError)
                else say(
                    "cluster-silent",
                    "The cluster does not answer (its Kubernetes API at {host}). Try again in a "
                    "moment.",
                    host=self.host,
                )
            ) from error
        self._outages.note_answer()
        self.availability.note_answer()
        response = answer.response
        try:
            if response.status >= 400:  # noqa: PLR2004 - where HTTP's errors begin
                try:
                    status = await _status_object(response)
                except _network_errors() as error:
                    raise self._broken(error) from error
                refused = self._refused(kind_of(method, path), response.status, status, path)
                is_doubtful = isinstance(refused, errors.ForbiddenError) and path != _READY
                if is_doubtful and self.availability.is_new and await self._is_starting():
                    self.availability.note_start()
                    raise errors.ClusterUnavailableError(STARTING_UP)
                raise refused
            self.availability.note_allowed(kind_of(method, path))
            yield response
        finally:
            _let_go(response)


def _parse_items(text: str, trim: Callable[[Json], Mapping[str, Any]]) -> Json:
    begin = text.index(_ITEMS) + len(_ITEMS)
    items, at = [], begin
    while text[at] != "]":
        item, at = _DECODER.raw_decode(text, at)
        items.append(trim(item))
        if text[at] == ",":
            at += 1
    return {**json.loads(f"{text[:begin]}{text[at:]}"), "items": items}


def _let_go(response: Any) -> None:
    """Return a connection to the pool, or close it if the answer is still arriving.

    Otherwise an abandoned watch would shut down TLS later, possibly after the event loop's end.
    """
    connection = response.connection
    if connection is not None and not response.content.at_eof() and connection.transport:
        connection.transport.abort()
    response.release()


def _api_client(client: Any, configuration: Any) -> Any:
    # No retries inside the client: callers decide, and a create must not be repeated blindly.
    configuration.retries = None
    configuration.connection_pool_maxsize = 64
    # A proxy from the environment must not be used for a server on this machine.
    if urlsplit(configuration.host).hostname in _LOOPBACK:
        configuration.client_session_kwargs = {"trust_env": False}
    return client.ApiClient(configuration)


def _network_errors() -> tuple[type[BaseException], ...]:
    import aiohttp  # noqa: PLC0415 - comes with the client, slow to import

    return (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError, OSError)


async def _status_object(response: Any) -> Json:
    text = await response.text(errors="replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    # Anything but a Status object may be a proxy's page: it is shortened.
    return parsed if isinstance(parsed, dict) else {"message": text[:_SHOWN_BYTES]}


def _error_of(code: int, status: Json, path: str) -> errors.JupyterKueueError:
    """Translate a Kubernetes Status object into the error tree.

    Reasons and codes: https://kubernetes.io/docs/reference/using-api/api-concepts/ and
    ``apimachinery/pkg/apis/meta/v1/types.go``.
    """
    message = str(status.get("message") or status.get("reason") or f"HTTP {code} for {path}")
    match code:
        case 401:
            return errors.ForbiddenError(
                say(
                    "cluster-refuses-credentials",
                    "The cluster does not accept these credentials: {message}. Log in again, "
                    "or renew the kubeconfig.",
                    message=message,
                )
            )
        case 403:
            return errors.ForbiddenError(foreign(message))
        case 404:
            return errors.NotFoundError(foreign(message))
        case 409:
            return errors.ConflictError(foreign(message))
        case 410:
            return errors.ExpiredError(foreign(message))
        case 413:
            return errors.TooLargeError(foreign(message))
        case 400 | 422:
            causes = (status.get("details") or {}).get("causes") or []
            fields = {
                cause.get("field", "object"): foreign(cause.get("message", "")) for cause in causes
            }
            return errors.InvalidRequestError(fields or {"object": foreign(message)})
        case _:
            return errors.ClusterUnavailableError(
                say(
                    "cluster-answered",
                    "The Kubernetes API answered {status}: {message}",
                    status=code,
                    message=message,
                )
            )


def _read_text(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - one line of a mounted file
        return file.read().strip()
