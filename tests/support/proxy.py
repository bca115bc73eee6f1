"""A way between a server and its cluster or bucket that a test can close, freeze or refuse on.

What passes through it is the real API server's or object store's; only refusals are made here.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import http.server
import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    # From verb and path to status and body of a refusal, None to let the request pass.
    Refusal = Callable[[str, str], tuple[int, bytes] | None]
    # From verb, path and status of what was answered to whether that answer gets lost.
    Loss = Callable[[str, str, int], bool]
    # From verb, path and body to the body that is passed on.
    Change = Callable[[str, str, bytes], bytes]

UNAVAILABLE = (503, b"{}")
OF_ONE_CONNECTION = ("connection", "transfer-encoding", "keep-alive")
PATIENCE_SECONDS = 60


class Proxy:
    """Passes requests on to the server at ``target``, a URL, while it is up."""

    def __init__(self, target: str, context: ssl.SSLContext | None = None) -> None:
        self.target = urlsplit(target)
        self.context = context
        self.refuse: Refusal = lambda _verb, _path: None
        self.lose: Loss = lambda _verb, _path, _status: False
        self.change: Change = lambda _verb, _path, body: body
        self.open: set[socket.socket] = set()
        self.port = 0
        self.answers = threading.Event()
        self.answers.set()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def up(self) -> None:
        handler = functools.partial(_Handler, self)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in tuple(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept connections and requests, and answer nothing, as a server does that hangs."""
        self.answers.clear()
        try:
            yield
        finally:
            self.answers.set()

    def holding_the_first_read(self, end: str) -> AbstractContextManager[threading.Event]:
        """Hold back the first GET of a path with that end; yields what is set once it has come."""
        return self.holding_the_first("GET", end)

    @contextlib.contextmanager
    def holding_the_first(
        self, verb: str, end: str, then: tuple[int, bytes] | None = None
    ) -> Iterator[threading.Event]:
        """Hold back the first such request; in the end it is passed on, or answered by ``then``."""
        has_come, goes_on = threading.Event(), threading.Event()

        def hold(asked: str, path: str) -> tuple[int, bytes] | None:
            if asked != verb or not _ends(path, end) or has_come.is_set():
                return None
            has_come.set()
            goes_on.wait(PATIENCE_SECONDS)
            return then

        self.refuse = hold
        try:
            yield has_come
        finally:
            self.refuse = lambda _verb, _path: None
            goes_on.set()

    @contextlib.contextmanager
    def holding_the_first_answer(self, verb: str, end: str) -> Iterator[threading.Event]:
        """Hold back the answer to the first such request: it is old news when it comes."""
        has_come, goes_on = threading.Event(), threading.Event()

        def hold(asked: str, path: str, _status: int) -> bool:
            if asked == verb and _ends(path, end) and not has_come.is_set():
                has_come.set()
                goes_on.wait(PATIENCE_SECONDS)
            return False

        self.lose = hold
        try:
            yield has_come
        finally:
            self.lose = lambda _verb, _path, _status: False
            goes_on.set()

    @contextlib.contextmanager
    def losing_the_first_answer(self, verb: str, end: str) -> Iterator[threading.Event]:
        """Cut the connection once the first such request was done, in place of its answer."""
        has_come = threading.Event()

        def lose(asked: str, path: str, status: int) -> bool:
            is_it = asked == verb and _ends(path, end) and status < 300 and not has_come.is_set()
            if is_it:
                has_come.set()
            return is_it

        self.lose = lose
        try:
            yield has_come
        finally:
            self.lose = lambda _verb, _path, _status: False

    def connect(self) -> http.client.HTTPConnection:
        host, port = self.target.hostname or "", self.target.port
        if self.context is not None:
            return http.client.HTTPSConnection(
                host, port, context=self.context, timeout=PATIENCE_SECONDS
            )
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)


def _ends(path: str, end: str) -> bool:
    parts = urlsplit(path)
    return parts.path.endswith(end) and "dryRun" not in parts.query


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, proxy: Proxy, *arguments: Any) -> None:
        self.proxy = proxy
        super().__init__(*arguments)

    def handle(self) -> None:
        self.proxy.open.add(self.connection)
        try:
            # A cut connection is what tests are about.
            with contextlib.suppress(OSError, http.client.HTTPException):
                super().handle()
        finally:
            self.proxy.open.discard(self.connection)

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.answers.wait()
        refused = self.proxy.refuse(self.command, self.path)
        if refused is not None:
            self.send_response(refused[0])
            self.send_header("Content-Length", str(len(refused[1])))
            self.end_headers()
            self.wfile.write(refused[1])
            return
        with contextlib.closing(self.proxy.connect()) as upstream:
            # The host as it was sent: an object store's signatures cover it.
            headers = dict(self.headers)
            if (changed := self.proxy.change(self.command, self.path, body)) != body:
                body, headers["Content-Length"] = changed, str(len(changed))
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            if self.proxy.lose(self.command, self.path, answer.status):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OF_ONE_CONNECTION:
                    self.send_header(name, value)
            self.end_headers()
            while chunk := answer.read1(2**16):
                self.proxy.answers.wait()
                self.wfile.write(chunk)
                self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - http.server's

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def to_api_server(kubeconfig: Path, folder: Path) -> tuple[Proxy, Path]:
    """Return a proxy to a kubeconfig's API server, as its user, and a kubeconfig that uses it."""
    body = yaml.safe_load(kubeconfig.read_text())
    cluster, user = body["clusters"][0]["cluster"], body["users"][0]["user"]
    files = {}
    for source, key in (
        (cluster, "certificate-authority-data"),
        (user, "client-certificate-data"),
        (user, "client-key-data"),
    ):
        files[key] = folder / f"{key}.pem"
        files[key].write_bytes(base64.b64decode(source[key]))
    context = ssl.create_default_context(cafile=files["certificate-authority-data"])
    context.load_cert_chain(files["client-certificate-data"], files["client-key-data"])
    proxy = Proxy(cluster["server"], context)
    body["clusters"][0]["cluster"] = {"server": proxy.url}
    body["users"][0]["user"] = {"token": "x"}
    path = folder / "proxied.kubeconfig"
    path.write_text(yaml.safe_dump(body))
    return proxy, path


def to_bucket(settings: Path, folder: Path) -> tuple[Proxy, Path]:
    """Return a proxy to the object store of a credentials folder, and a folder that uses it."""
    target = folder / "proxied-bucket"
    target.mkdir()
    for file in settings.iterdir():
        (target / file.name).write_text(file.read_text())
    proxy = Proxy((settings / "endpoint").read_text().strip())
    (target / "endpoint").write_text(proxy.url)
    return proxy, target


def without_kueue(_verb: str, path: str) -> tuple[int, bytes] | None:
    """Answer as an API server does where Kueue was never installed."""
    if "kueue.x-k8s.io" not in path:
        return None
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
    return 404, json.dumps(status).encode()


def without_garbage_collection(verb: str, path: str, body: bytes) -> bytes:
    """Have Jobs deleted as if the garbage collector never came: their pods go on."""
    if verb == "DELETE" and "/jobs/" in path:
        return body.replace(b'"Background"', b'"Orphan"')
    return body


def full(verb: str, _path: str) -> tuple[int, bytes] | None:
    """Answer as an object store does that has no room left (WebDAV's 507, as MinIO and others)."""
    return (507, b"<Error><Code>InsufficientStorage</Code></Error>") if verb == "PUT" else None


def forbidden(verb: str, _path: str) -> tuple[int, bytes] | None:
    """Answer as an object store does to who may only read."""
    return (403, b"<Error><Code>AccessDenied</Code></Error>") if verb == "PUT" else None
