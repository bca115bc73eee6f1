"""Watching and calling an API server over real HTTP, through every fault that one can show.

The server here speaks the list and watch protocol
(https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes) and
does what no real one does on demand: it forgets, cuts, lies and goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import re
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web

from jupyter_kueue import patience
from jupyter_kueue.cluster.connection import Connection
from jupyter_kueue.cluster.watching import Watched
from jupyter_kueue.domain import errors
from jupyter_kueue_local.certificates import ensure_certificates
from tests.support.polling import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Json = dict[str, Any]

PATH = "/api/v1/namespaces/ns/pods"
_END, _CUT = object(), object()


class ApiServer:
    """One collection at PATH, its history, and those who watch it."""

    def __init__(self) -> None:
        self.items: dict[str, Json] = {}
        self.version = 100
        self.history: list[Json] = []
        self.oldest = 100  # the first version that a watch may begin at
        self.separators = (",", ":")  # of its JSON
        self.says_gone_in_stream = False
        self.ends_watches_at_once = False
        self.queries: list[dict[str, str]] = []
        self.port = 0
        self._watchers: set[asyncio.Queue[Any]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self, ssl_context: ssl.SSLContext | None = None) -> None:
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=ssl_context
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away as a killed server does."""
        self.tell(_CUT)
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def put(self, name: str, **spec: Any) -> None:
        """Change an object and tell everybody."""
        self.tell(self.change(name, **spec))

    def change(self, name: str, **spec: Any) -> Json:
        """Change an object; return the event, which nobody has been told yet."""
        self.version += 1
        item = {
            "metadata": {
                "name": name,
                "uid": f"uid-{name}",
                "resourceVersion": str(self.version),
            },
            "spec": spec,
        }
        event = {"type": "MODIFIED" if name in self.items else "ADDED", "object": item}
        self.history.append(event)
        self.items[name] = item
        return event

    def delete(self, name: str) -> None:
        self.version += 1
        item = self.items.pop(name)
        metadata = {**item["metadata"], "resourceVersion": str(self.version)}
        event = {"type": "DELETED", "object": {**item, "metadata": metadata}}
        self.history.append(event)
        self.tell(event)

    def bookmark(self) -> None:
        """Move every watcher's place on without an object, as happens when others change."""
        self.version += 1
        metadata = {"resourceVersion": str(self.version)}
        self.tell({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": metadata}})

    def forget(self) -> None:
        """Compact: nobody may begin before the present version."""
        self.oldest = self.version
        self.history.clear()

    def tell(self, event: Any) -> None:
        for queue in self._watchers:
            queue.put_nowait(event)

    def end_watches(self) -> None:
        self.tell(_END)

    def cut_watches(self) -> None:
        self.tell(_CUT)

    def watched_from(self) -> list[str]:
        """The versions that watches began at, in order."""
        return [query["resourceVersion"] for query in self.queries if "watch" in query]

    def lists(self) -> int:
        """How many times the collection was listed."""
        return sum("watch" not in query for query in self.queries)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.queries.append(query)
        return await self._watch(request) if "watch" in query else self._list()

    def _list(self) -> web.Response:
        metadata = {"resourceVersion": str(self.version)}
        # A list without items is a null in Go.
        shown = [self.items[name] for name in sorted(self.items)] or None
        return web.json_response(
            {"kind": "PodList", "metadata": metadata, "items": shown},
            dumps=functools.partial(json.dumps, separators=self.separators),
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        if version < self.oldest and not self.says_gone_in_stream:
            return web.json_response(gone, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        if version < self.oldest:
            await response.write(_line({"type": "ERROR", "object": gone}))
            return response
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for event in self.history:
            if int(event["object"]["metadata"]["resourceVersion"]) > version:
                queue.put_nowait(event)
        if self.ends_watches_at_once:
            queue.put_nowait(_END)
        self._watchers.add(queue)
        try:
            while (event := await queue.get()) is not _END:
                if event is _CUT:
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await response.write(_line(event))
        finally:
            self._watchers.discard(queue)
        return response


def _line(event: Json) -> bytes:
    return json.dumps(event).encode() + b"\n"


class Follower:
    """A Watched and all that it reported."""

    def __init__(self, connection: Connection) -> None:
        self.reported: list[tuple[str, bool]] = []
        self.watched = Watched(connection, PATH, on_change=self._changed, trim=lambda item: item)

    def names(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.watched.items.values()}

    def reported_gone(self) -> list[str]:
        return [name for name, gone in self.reported if gone]

    def _changed(self, item: Json, gone: bool) -> None:
        self.reported.append((item["metadata"]["name"], gone))


@contextlib.asynccontextmanager
async def connection_to(address: str, folder: Path, **cluster: Any) -> AsyncIterator[Connection]:
    """Connect by a kubeconfig, as a server does."""
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "clusters": [{"name": "it", "cluster": {"server": address, **cluster}}],
                "users": [{"name": "me", "user": {"token": "s3cret"}}],
                "contexts": [
                    {"name": "it", "context": {"cluster": "it", "user": "me", "namespace": "ns"}}
                ],
            }
        )
    )
    connection = await Connection.from_kubeconfig(path)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WATCH_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(patience, "WATCH_LONGEST_PAUSE_SECONDS", 0.05)


@pytest.fixture(autouse=True)
def hostile_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proxy that is not there, and certificate bundles that are none, must change nothing."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(garbage))


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def connection(api: ApiServer, tmp_path: Path) -> AsyncIterator[Connection]:
    async with connection_to(f"http://127.0.0.1:{api.port}", tmp_path) as opened:
        yield opened


@pytest.fixture
async def follow(connection: Connection) -> AsyncIterator[Callable[[], Follower]]:
    """Starts following the collection."""
    tasks: list[asyncio.Task[None]] = []

    def start() -> Follower:
        follower = Follower(connection)
        tasks.append(asyncio.create_task(follower.watched.run()))
        return follower

    yield start
    for task in tasks:
        assert not task.done(), "a watch never ends by itself"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# --- Watching ----------------------------------------------------------------------------------


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
async def test_a_list_is_there_as_a_whole_before_it_counts_as_synced(
    api: ApiServer, follow: Callable[[], Follower], separators: tuple[str, str]
) -> None:
    names = {f"pod-{number}" for number in range(7)}
    for name in names:
        api.put(name)
    api.separators = separators
    follower = follow()
    await follower.watched.synced.wait()
    assert follower.names() == names
    assert sorted(follower.reported) == sorted((name, False) for name in names)
    await eventually(lambda: api.watchers)
    assert api.lists() == 1
    assert api.watched_from() == [str(api.version)]


async def test_changes_are_reported_as_they_come(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    api.put("old")
    follower = follow()
    await eventually(lambda: api.watchers)
    api.put("new")
    api.put("new", phase="Running")
    api.delete("old")
    await eventually(follower.reported_gone)
    assert follower.reported == [("old", False), ("new", False), ("new", False), ("old", True)]
    assert follower.names() == {"new"}
    assert follower.watched.items["uid-new"]["spec"] == {"phase": "Running"}
    assert follower.watched.error is None


async def test_an_object_of_the_same_name_is_another_one(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    follower = follow()
    await eventually(lambda: api.watchers)
    for number in (1, 2):
        api.put("again")
        item = api.items["again"]
        item["metadata"]["uid"] = f"uid-{number}"
        await eventually(lambda uid=f"uid-{number}": uid in follower.watched.items)
        api.delete("again")
        await eventually(lambda: not follower.watched.items)
    assert follower.reported_gone() == ["again", "again"]


@pytest.mark.parametrize("how", ["ended", "cut"])
async def test_a_watch_that_ends_says_nothing_about_the_objects(
    api: ApiServer, follow: Callable[[], Follower], how: str
) -> None:
    api.put("one")
    follower = follow()
    await eventually(lambda: api.watchers)
    api.end_watches() if how == "ended" else api.cut_watches()
    await eventually(lambda: len(api.watched_from()) == 2)
    assert follower.names() == {"one"}
    assert follower.reported == [("one", False)]
    api.put("two")
    await eventually(lambda: follower.names() == {"one", "two"})
    assert follower.watched.error is None


async def test_after_a_quiet_end_the_watch_goes_on_where_it_was(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    follower = follow()
    await eventually(lambda: api.watchers)
    api.put("one")
    await eventually(lambda: follower.names() == {"one"})
    api.end_watches()
    await eventually(lambda: len(api.watched_from()) == 2)
    assert api.watched_from() == ["100", "101"]
    assert api.lists() == 1


async def test_a_bookmark_moves_the_place_and_reports_nothing(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    follower = follow()
    await eventually(lambda: api.watchers)
    for _ in range(5):
        api.bookmark()
    api.forget()  # the place of the beginning is lost, the bookmark's is not
    api.end_watches()
    await eventually(lambda: len(api.watched_from()) == 2)
    assert api.watched_from() == ["100", "105"]
    assert api.lists() == 1
    assert follower.reported == []
    assert all(query["allowWatchBookmarks"] == "true" for query in api.queries if "watch" in query)


async def test_an_answer_that_is_older_than_what_was_watched_changes_nothing(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    follower = follow()
    await eventually(lambda: api.watchers)
    api.put("changed", by="a write")
    api.put("deleted")
    answers = list(api.items.values())
    api.put("changed", by="somebody else")
    api.delete("deleted")
    await eventually(lambda: ("deleted", True) in follower.reported)
    for answer in answers:
        follower.watched.note(answer)
    [item] = follower.watched.items.values()
    assert item["spec"] == {"by": "somebody else"}


async def test_an_answer_that_is_newer_than_what_was_watched_counts_at_once(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    api.put("one", by="nobody")
    follower = follow()
    await eventually(lambda: api.watchers)
    late = [api.change("one", by=by) for by in ("somebody", "a write")]
    follower.watched.note(late[1]["object"])
    assert follower.names() == {"one"}
    reported = len(follower.reported)
    for event in late:
        api.tell(event)
    api.put("two")
    await eventually(lambda: follower.names() == {"one", "two"})
    assert follower.watched.items["uid-one"]["spec"] == {"by": "a write"}
    assert follower.reported[reported:] == [("two", False)]


@pytest.mark.parametrize("in_stream", [False, True], ids=["status", "in the stream"])
async def test_a_place_the_server_forgot_is_listed_anew(
    api: ApiServer, follow: Callable[[], Follower], in_stream: bool
) -> None:
    api.says_gone_in_stream = in_stream
    for name in ("stays", "changes", "goes"):
        api.put(name)
    follower = follow()
    await eventually(lambda: api.watchers)
    follower.reported.clear()
    api.end_watches()
    # While nobody watches: the follower can learn of these only by listing.
    await eventually(lambda: not api.watchers)
    api.put("changes", seen=True)
    api.delete("goes")
    api.put("comes")
    api.forget()
    await eventually(lambda: follower.names() == {"stays", "changes", "comes"})
    await eventually(lambda: api.watchers)
    assert sorted(follower.reported) == [("changes", False), ("comes", False), ("goes", True)]
    assert follower.watched.error is None
    api.put("later")
    await eventually(lambda: "later" in follower.names())


async def test_a_server_that_is_down_for_a_while(
    api: ApiServer, follow: Callable[[], Follower], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("stays", "goes"):
        api.put(name)
    follower = follow()
    await eventually(lambda: api.watchers)
    await api.stop()
    await eventually(lambda: follower.watched.error)
    assert isinstance(follower.watched.error, errors.ClusterUnavailableError)
    assert follower.names() == {"stays", "goes"}  # the last that was known stays readable
    assert follower.watched.synced.is_set()
    api.delete("goes")
    api.put("comes")
    await api.start()
    await eventually(lambda: follower.names() == {"stays", "comes"})
    await eventually(lambda: follower.watched.error is None)
    assert follower.reported_gone() == ["goes"]
    # One line for one outage, however often it was tried.
    assert len([record for record in caplog.records if "watching path" in record.message]) == 1


async def test_an_outage_is_two_lines_of_the_log_however_much_is_asked(
    api: ApiServer, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await connection.list(PATH, trim=lambda item: item)
    for _ in range(2):
        await api.stop()
        for _ in range(5):
            with pytest.raises(errors.ClusterUnavailableError):
                await connection.get(PATH)
        await api.start()
        await connection.list(PATH, trim=lambda item: item)
    said = [item.message for item in caplog.records if item.name.startswith("jupyter_kueue")]
    begin, end = said[:2]
    assert re.match(rf"host=\S+ does not answer: GET {PATH}: .*", begin)
    assert re.match(r"host=\S+ answers again after \d+ s; requests not answered meanwhile: 5$", end)
    assert len(said) == 4


async def test_a_server_that_is_not_up_yet(tmp_path: Path) -> None:
    api = ApiServer()
    await api.start()
    await api.stop()
    async with connection_to(f"http://127.0.0.1:{api.port}", tmp_path) as connection:
        follower = Follower(connection)
        task = asyncio.create_task(follower.watched.run())
        await eventually(lambda: follower.watched.error)
        assert not follower.watched.synced.is_set()
        api.put("one")
        await api.start()
        await follower.watched.synced.wait()
        assert follower.names() == {"one"}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await api.stop()


async def test_a_server_that_turns_every_watch_away_does_not_stop_the_news(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    api.ends_watches_at_once = True
    follower = follow()
    await eventually(lambda: len(api.watched_from()) >= 3)
    api.put("one")
    await eventually(lambda: follower.names() == {"one"})
    assert api.lists() == 1


async def test_an_object_is_kept_as_it_was_trimmed(api: ApiServer, connection: Connection) -> None:
    api.put("one", big="x" * 1000)
    seen: list[Json] = []
    watched = Watched(
        connection,
        PATH,
        on_change=lambda item, gone: seen.append(item),
        trim=lambda item: {"metadata": item["metadata"]},
    )
    task = asyncio.create_task(watched.run())
    await eventually(lambda: api.watchers)
    api.delete("one")
    await eventually(lambda: len(seen) == 2)
    assert [set(item) for item in seen] == [{"metadata"}, {"metadata"}]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_object_as_big_as_they_get_comes_through(
    api: ApiServer, follow: Callable[[], Follower]
) -> None:
    follower = follow()
    await eventually(lambda: api.watchers)
    # etcd refuses more than 1.5 MiB: https://etcd.io/docs/v3.6/dev-guide/limit/
    api.put("big", text="ü" * 250_000)
    await eventually(lambda: follower.names() == {"big"})
    assert len(follower.watched.items["uid-big"]["spec"]["text"]) == 250_000


# --- One call ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(answer: bytes, folder: Path) -> AsyncIterator[Connection]:
    """Connect to a server that answers everything with these bytes and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connection_to(f"http://127.0.0.1:{port}", folder) as connection:
        yield connection


def http(status: int, body: bytes, *, length: int | None = None) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nConnection: close\r\n"
    if length is not None:
        head += f"Content-Length: {length}\r\n"
    return head.encode() + b"\r\n" + body


def status_object(code: int, reason: str, message: str, **more: Any) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message, **more}
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "kind", "http_status"),
    [
        (400, "BadRequest", errors.InvalidRequestError, 422),
        (401, "Unauthorized", errors.ForbiddenError, 403),
        (403, "Forbidden", errors.ForbiddenError, 403),
        (404, "NotFound", errors.NotFoundError, 404),
        (409, "AlreadyExists", errors.ConflictError, 409),
        (409, "Conflict", errors.ConflictError, 409),
        (410, "Expired", errors.ExpiredError, 410),
        (413, "RequestEntityTooLarge", errors.TooLargeError, 413),
        (422, "Invalid", errors.InvalidRequestError, 422),
        (429, "TooManyRequests", errors.ClusterUnavailableError, 503),
        (500, "InternalError", errors.ClusterUnavailableError, 503),
        (503, "ServiceUnavailable", errors.ClusterUnavailableError, 503),
        (504, "Timeout", errors.ClusterUnavailableError, 503),
    ],
)
async def test_each_refusal_is_one_of_our_errors_with_the_clusters_words(
    tmp_path: Path, code: int, reason: str, kind: type[errors.JupyterKueueError], http_status: int
) -> None:
    answer = http(code, status_object(code, reason, "pods is said so"))
    async with answering(answer, tmp_path) as connection:
        with pytest.raises(kind, match="pods is said so") as caught:
            await connection.create(PATH, {"kind": "Pod"})
    assert type(caught.value) is kind
    assert caught.value.status == http_status
    assert "s3cret" not in caught.value.message


async def test_an_invalid_object_names_its_fields(tmp_path: Path) -> None:
    causes = [
        {"field": "spec.a", "message": "must be positive"},
        {"field": "spec.b", "message": "is immutable"},
    ]
    answer = http(422, status_object(422, "Invalid", "bad", details={"causes": causes}))
    async with answering(answer, tmp_path) as connection:
        with pytest.raises(errors.InvalidRequestError) as caught:
            await connection.replace(PATH, {})
    assert caught.value.fields == {"spec.a": "must be positive", "spec.b": "is immutable"}


async def test_expired_credentials_say_what_to_do(tmp_path: Path) -> None:
    answer = http(401, status_object(401, "Unauthorized", "Unauthorized"))
    async with answering(answer, tmp_path) as connection:
        with pytest.raises(errors.ForbiddenError, match="Log in again, or renew the kubeconfig"):
            await connection.get(PATH)


async def test_a_request_after_the_servers_end_is_told_of_an_outage(tmp_path: Path) -> None:
    async with answering(http(200, b"{}"), tmp_path) as connection:
        await connection.close()
        for call in (connection.get(PATH), connection.delete(PATH), connection.create(PATH, {})):
            with pytest.raises(errors.ClusterUnavailableError, match="The server is stopping"):
                await call


PAGE = b"<html><body>Login</body></html>" + b"x" * 100_000


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (502, errors.ClusterUnavailableError),
        (200, errors.ClusterUnavailableError),
    ],
)
async def test_a_proxys_page_is_cut_short_and_never_taken_for_an_answer(
    tmp_path: Path, code: int, kind: type[errors.JupyterKueueError]
) -> None:
    async with answering(http(code, PAGE), tmp_path) as connection:
        with pytest.raises(kind, match="<html>") as caught:
            await connection.get(PATH)
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 50_000])
async def test_json_that_is_no_object_is_not_the_api(tmp_path: Path, body: bytes) -> None:
    for code in (200, 500):
        async with answering(http(code, body), tmp_path) as connection:
            with pytest.raises(errors.ClusterUnavailableError):
                await connection.get(PATH)


@pytest.mark.parametrize("code", [200, 403, 500])
async def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path, code: int) -> None:
    answer = http(code, b'{"kind": "Sta', length=500)
    async with answering(answer, tmp_path) as connection:
        for call in (connection.get(PATH), connection.get_text(PATH)):
            with pytest.raises(errors.ClusterUnavailableError):
                await call


async def test_a_server_that_hangs_up_without_a_word(tmp_path: Path) -> None:
    async with answering(b"", tmp_path) as connection:
        with pytest.raises(errors.ClusterUnavailableError, match="does not answer"):
            await connection.get(PATH)


@pytest.mark.parametrize(
    "stream",
    [
        b'{"type": "ADDED", "object": {"metad',
        PAGE,
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}}\n',
    ],
    ids=["half an event", "a proxy's page", "an error"],
)
async def test_a_broken_watch_is_an_outage_and_not_the_end_of_watching(
    tmp_path: Path, stream: bytes
) -> None:
    async with answering(http(200, stream), tmp_path) as connection:
        with pytest.raises(errors.ClusterUnavailableError):
            async for _ in connection.watch(PATH):
                pass


async def test_a_log_that_is_no_utf8_is_readable(tmp_path: Path) -> None:
    async with answering(http(200, b"caf\xe9\nend"), tmp_path) as connection:
        assert await connection.get_text(PATH) == "caf\ufffd\nend"


async def test_an_empty_answer_is_an_empty_object(tmp_path: Path) -> None:
    async with answering(http(200, b"", length=0), tmp_path) as connection:
        assert await connection.delete(f"{PATH}/one") == {}


# --- What the environment must not change --------------------------------------------------------


async def test_a_proxy_never_stands_before_this_machine(api: ApiServer, tmp_path: Path) -> None:
    api.put("one")
    async with connection_to(f"http://127.0.0.1:{api.port}", tmp_path) as connection:
        assert len((await connection.get(PATH, {"limit": 500}))["items"]) == 1


@pytest.fixture
async def secure_api(tmp_path: Path) -> AsyncIterator[tuple[ApiServer, Path, Path]]:
    """A server with TLS, the authority that signed it, and one that did not."""
    certificates = ensure_certificates(tmp_path / "certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate("serving"), certificates.key("serving"))
    server = ApiServer()
    await server.start(context)
    yield server, certificates.authority("cluster"), certificates.authority("etcd")
    await server.stop()


async def test_only_the_kubeconfigs_authority_counts(
    secure_api: tuple[ApiServer, Path, Path], tmp_path: Path
) -> None:
    api, right, wrong = secure_api
    api.put("one")
    address = f"https://127.0.0.1:{api.port}"
    async with connection_to(
        address, tmp_path, **{"certificate-authority": str(right)}
    ) as connection:
        assert len((await connection.get(PATH, {"limit": 500}))["items"]) == 1
    async with connection_to(
        address, tmp_path, **{"certificate-authority": str(wrong)}
    ) as connection:
        with pytest.raises(errors.ClusterUnavailableError, match="certificate verify failed"):
            await connection.get(PATH, {"limit": 500})


@pytest.mark.parametrize(
    "content", [None, "", "just text", "{", "clusters: []", "current-context: gone\ncontexts: []"]
)
async def test_a_kubeconfig_that_cannot_be_used_says_how_to_get_one(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.NotConfiguredError, match="jupyter kueue local up"):
        await Connection.from_kubeconfig(path)


async def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with connection_to("http://127.0.0.1:9", tmp_path) as connection:
        assert connection.namespace == "ns"
    with pytest.raises(errors.NotConfiguredError, match="elsewhere"):
        await Connection.from_kubeconfig(tmp_path / "kubeconfig", "elsewhere")
