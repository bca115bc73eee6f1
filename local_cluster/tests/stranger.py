"""Connects to ports like another user of the machine, or a web page: without any credential.

``python stranger.py UID PORT…`` prints one JSON object per line for each answer. It is a separate
program because a process that has changed its user cannot change back.
"""

from __future__ import annotations

# Loaded now, because the other user may not be able to read Python's files.
import encodings.idna  # noqa: F401
import http.client
import json
import os
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Answer = dict[str, Any]

_TIMEOUT_SECONDS = 5.0
# What each kind of part could reveal or do: health, metrics, versions, profiles; etcd's gateway;
# the object store's tokens, volumes, collections, files; webhooks; a kubelet's logs.
_PATHS = (
    *("/", "/health", "/healthz", "/livez", "/readyz", "/version", "/metrics", "/configz"),
    *("/debug/pprof/", "/openapi/v2", "/api", "/apis", "/status", "/flagz", "/statusz"),
    *("/v3/kv/range", "/v2/keys/", "/members", "/raft/stream"),
    "/dir/assign?collection=outputs",
    "/dir/lookup?volumeId=1",
    "/dir/status",
    "/vol/status",
    "/vol/grow?count=1&collection=stranger",
    "/vol/vacuum",
    "/col/delete?collection=stranger",
    "/submit",
    "/cluster/status",
    "/cluster/healthz",
    "/stats/health",
    "/stats/disk",
    "/ui/index.html",
    "/buckets/outputs/?limit=1",
    "/topics/",
    "/1,01637037d6",
    "/outputs",
    "/outputs/?list-type=2",
    "/outputs/default/kept",
    "/apis/visibility.kueue.x-k8s.io/v1beta2",
    "/mutate-batch-v1-job",
    "/validate-batch-v1-job",
    "/pods",
    "/runningpods/",
    "/containerLogs/default/pod/container",
    "/exec/default/pod/container?command=id",
)
_WRITES = (
    ("POST", "/v3/kv/range", b'{"key": "AA==", "range_end": "AA=="}'),
    ("POST", "/submit", b"stranger"),
    ("PUT", "/1,01637037d6", b"stranger"),
    ("POST", "/buckets/outputs/stranger", b"stranger"),
    ("DELETE", "/buckets/outputs/?recursive=true", b""),
    ("PUT", "/outputs/default/stranger", b"stranger"),
    ("POST", "/outputs?delete", b"<Delete/>"),
    ("DELETE", "/outputs", b""),
    ("POST", "/", b"Action=ListUsers&Version=2010-05-08"),
    ("POST", "/", b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"),
    ("POST", "/mutate-batch-v1-job", b'{"kind": "AdmissionReview", "request": {"uid": "1"}}'),
    ("POST", "/api/v1/namespaces/default/configmaps", b"{}"),
)
_REQUESTS = (*(("GET", path, b"") for path in _PATHS), *_WRITES)
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {
        "Host": "page.example",
        "Origin": "http://page.example",
        "Referer": "http://page.example/",
        "Sec-Fetch-Site": "cross-site",
    },
)
# The start of every HTTP/2 connection, as gRPC's are (RFC 9113, 3.4), with empty settings.
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def main() -> None:
    uid, ports = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    if uid != os.getuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    # Most of the time is spent waiting for ports that do not answer.
    with ThreadPoolExecutor(2 * len(ports)) as pool:
        for told in pool.map(_ask, ports * 2, [False] * len(ports) + [True] * len(ports)):
            for answer in told:
                print(json.dumps(answer))  # noqa: T201 - what the program is for


def _ask(port: int, secure: bool) -> list[Answer]:
    if not _speaks(port, secure):
        return []
    told = [
        _request(port, secure, method, path, body, headers)
        for headers in _HEADERS
        for method, path, body in _REQUESTS
    ]
    answer = _exchange(port, secure, _HTTP2)
    if answer and not answer.startswith(b"HTTP/1"):
        told.append({"port": port, "secure": secure, "http2": answer[:200].hex()})
    return [answer for answer in told if answer]


def _speaks(port: int, secure: bool) -> bool:
    """Return whether the port answers at all, so that a closed one is tried only once."""
    return bool(_exchange(port, secure, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) or bool(
        _exchange(port, secure, _HTTP2)
    )


def _exchange(port: int, secure: bool, sent: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as plain:
            channel = _context().wrap_socket(plain) if secure else plain
            channel.sendall(sent)
            return channel.recv(4096)
    except OSError:
        return b""


def _request(
    port: int, secure: bool, method: str, path: str, body: bytes, headers: dict[str, str]
) -> Answer | None:
    connection: http.client.HTTPConnection
    if secure:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_TIMEOUT_SECONDS, context=_context()
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        said = answer.read(2000)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return {
        "port": port,
        "secure": secure,
        "asked": f"{method} {path}",
        "origin": headers.get("Origin", ""),
        "status": answer.status,
        "body": said.decode(errors="replace"),
        "allowed_origin": answer.getheader("Access-Control-Allow-Origin"),
    }


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    main()
