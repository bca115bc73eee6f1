"""A real object store for the tests of runner and bucket: SeaweedFS on loopback, on free ports."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from jupyter_kueue_local.ports import is_free
from tests.support.polling import until
from tests.support.ports import free_port

BUCKET = "outputs"
ADMIN = ("testkey", "testsecret")
# May do everything below alice/, and nothing elsewhere.
ALICE = ("alicekey", "alicesecret")
# May read everything and write nothing.
READER = ("readerkey", "readersecret")
# Above each port of SeaweedFS lies the one of its gRPC.
_GRPC_OFFSET = 10_000

IDENTITIES = {
    "identities": [
        {
            "name": name,
            "credentials": [{"accessKey": credentials[0], "secretKey": credentials[1]}],
            "actions": actions,
        }
        for name, credentials, actions in (
            ("admin", ADMIN, ["Admin", "Read", "Write", "List", "Tagging"]),
            ("alice", ALICE, [f"{v}:{BUCKET}/alice/*" for v in ("Read", "Write", "List")]),
            ("reader", READER, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
        )
    ]
}


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and free where their gRPC goes too."""
    usable = (port for port in iter(free_port, None) if is_free(port + _GRPC_OFFSET))
    return list(itertools.islice(usable, count))


class Seaweed:
    """One SeaweedFS process with its data in ``folder``; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3, self.master, self.volume, self.filer = free_ports(4)
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        (folder / "s3.json").write_text(json.dumps(IDENTITIES))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.s3}"

    def options(self, credentials: tuple[str, str] = ADMIN) -> dict[str, str]:
        return {
            "endpoint": self.endpoint,
            "access_key_id": credentials[0],
            "secret_access_key": credentials[1],
            "region": "us-east-1",
            "virtual_hosted_style_request": "false",
            "allow_http": "true",
        }

    def start(self) -> None:
        weed = Path(sys.executable).with_name("weed")
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(weed),
                    f"-logdir={self.folder}",
                    "mini",
                    f"-dir={self.folder / 'data'}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-master.telemetry=false",
                    f"-bucket={BUCKET}",
                    f"-s3.config={self.folder / 's3.json'}",
                    "-admin.ui=false",
                    "-webdav=false",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    f"-s3.localSocket={self.folder / 's3.sock'}",
                    f"-s3.port={self.s3}",
                    f"-master.port={self.master}",
                    f"-volume.port={self.volume}",
                    f"-filer.port={self.filer}",
                ],
                stdout=log,
                stderr=log,
            )
        until(self._answers, "SeaweedFS answers")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "weed.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)
