"""The parts of a local cluster: for each one its command line, its files and its check.

The configuration files are written here, because a part is replaced when its command or its files
change; nothing is started here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from jupyter_kueue_local._version import __version__
from jupyter_kueue_local.access import QUEUE_REQUIRED
from jupyter_kueue_local.certificates import NODE_NAME, Certificates
from jupyter_kueue_local.kubeconfigs import write_kubeconfigs, write_webhook_client
from jupyter_kueue_local.object_store import object_store_command, write_object_store_files
from jupyter_kueue_local.readiness import Readiness
from jupyter_kueue_local.state_folder import Settings, StateFolder, write_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_kueue_local.building import ControlPlaneBuild

# A run's small pods must fit on a machine with few cores: the scheduler only counts requests, and
# the operating system shares the cores. A small machine therefore offers more cores than it has,
# and its pods are slow instead of refused.
LEAST_CORES_OFFERED = 8

_LOOPBACK = "127.0.0.1"
# Memory for time: runs share the CPU with the control plane, whose garbage collector takes much of
# it by default. Above a share of the machine's memory, which an API server reaches only with
# thousands of runs, collection is as frequent as necessary.
_GO_GARBAGE_PERCENT = 400
_GO_MEMORY_SHARE = 8


@dataclass(frozen=True)
class Part:
    """One process of the cluster.

    Attributes:
        name: as ``status`` shows it.
        command: program and arguments.
        port: the one that ``status`` shows, and that the process itself must listen on.
        ports: all ports on which it listens.
        after: parts that must be ready before this one is started.
        ready: checks whether it works.
        fingerprint: changes when the command, a file or a version changes.
        grace_seconds: how long it may take to end.
        whole_environment: whether it gets the caller's environment (the node, whose programs may
            need it) or a minimal one.
    """

    name: str
    command: list[str]
    port: int
    ports: tuple[int, ...]
    after: tuple[str, ...]
    ready: Callable[[], bool]
    fingerprint: str
    grace_seconds: float = 3.0
    whole_environment: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the process."""
        if self.whole_environment:
            return dict(os.environ)
        bare = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR")
        inherited = {name: os.environ[name] for name in bare if name in os.environ}
        _, memory = machine_capacity()
        return {
            **inherited,
            "GOGC": str(_GO_GARBAGE_PERCENT),
            "GOMEMLIMIT": str(memory // _GO_MEMORY_SHARE),
        }


@dataclass(frozen=True)
class _Plan:
    """What the parts are created from."""

    folder: StateFolder
    settings: Settings
    build: ControlPlaneBuild
    certificates: Certificates
    ready: Readiness

    def url(self, port: str) -> str:
        return f"https://{_LOOPBACK}:{self.settings.ports[port]}"

    def fingerprint(self, command: list[str], files: tuple[Path, ...]) -> str:
        """Return a digest of a command, of its files, and of the certificates it uses."""
        digest = hashlib.sha256(repr((__version__, command)).encode())
        digest.update(self.certificates.generation())
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def part(
        self,
        name: str,
        arguments: list[str],
        ready: Callable[[], bool],
        *,
        after: tuple[str, ...] = (),
        files: tuple[Path, ...] = (),
    ) -> Part:
        """Return a part that is one of the built programs."""
        program = str(self.build.program(name))
        return Part(
            name=name,
            command=[program, *arguments],
            port=self.settings.ports.get(name) or self.settings.ports[f"{name}-webhook"],
            ports=tuple(self.settings.ports_of(name).values()),
            after=after,
            ready=ready,
            fingerprint=self.fingerprint([program, *arguments], files),
        )


def machine_capacity() -> tuple[int, int]:
    """Return the cores and the bytes of memory that the node offers."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(os.cpu_count() or 1, LEAST_CORES_OFFERED), memory


def describe_parts(
    folder: StateFolder, settings: Settings, build: ControlPlaneBuild, certificates: Certificates
) -> list[Part]:
    """Write the parts' configuration files and return the parts in their order of start."""
    ready = Readiness(certificates, settings)
    plan = _Plan(folder, settings, build, certificates, ready)
    write_kubeconfigs(folder, settings, certificates)
    return [
        _etcd(plan),
        _kube_apiserver(plan),
        _kube_controller_manager(plan),
        _kube_scheduler(plan),
        _kueue(plan),
        _object_store(plan),
        _node(plan),
    ]


def _etcd(plan: _Plan) -> Part:
    client, peer = plan.url("etcd"), plan.url("etcd-peer")
    certificate = str(plan.certificates.certificate("etcd"))
    key = str(plan.certificates.key("etcd"))
    authority = str(plan.certificates.authority("etcd"))
    arguments = [
        f"--data-dir={plan.folder.part('etcd')}/data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # A separate authority in both directions: otherwise any local user could read every Secret.
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=30m",
        "--log-level=warn",
    ]
    return plan.part("etcd", arguments, plan.ready.etcd)


def _kube_apiserver(plan: _Plan) -> Part:
    folder = plan.folder.part("kube-apiserver")
    webhook_client = folder / "webhook-client.kubeconfig"
    write_webhook_client(webhook_client, plan.settings.ports["kueue-webhook"], plan.certificates)
    admission = folder / "admission.yaml"
    write_private(admission, yaml.safe_dump(_admission(webhook_client), sort_keys=False))
    ca, leaf = plan.certificates.authority, plan.certificates.certificate
    key = plan.certificates.key
    arguments = [
        f"--etcd-servers={plan.url('etcd')}",
        f"--etcd-cafile={ca('etcd')}",
        f"--etcd-certfile={leaf('etcd')}",
        f"--etcd-keyfile={key('etcd')}",
        f"--secure-port={plan.settings.ports['kube-apiserver']}",
        f"--bind-address={_LOOPBACK}",
        f"--advertise-address={_LOOPBACK}",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--client-ca-file={ca('cluster')}",
        f"--tls-cert-file={leaf('serving')}",
        f"--tls-private-key-file={key('serving')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={plan.certificates.service_account_public_key}",
        f"--service-account-signing-key-file={plan.certificates.service_account_key}",
        "--authorization-mode=RBAC",
        f"--requestheader-client-ca-file={ca('front-proxy')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={leaf('front-proxy')}",
        f"--proxy-client-key-file={key('front-proxy')}",
        f"--kubelet-certificate-authority={ca('cluster')}",
        f"--kubelet-client-certificate={leaf('node-client')}",
        f"--kubelet-client-key={key('node-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        # Not even version and health are public: clients have certificates.
        "--anonymous-auth=false",
        f"--admission-control-config-file={admission}",
        "--profiling=false",
    ]
    return plan.part(
        "kube-apiserver",
        arguments,
        plan.ready.kube_apiserver,
        after=("etcd",),
        files=(admission, webhook_client),
    )


def _admission(webhook_client: Path) -> dict[str, object]:
    """Return the API server's admission configuration: its credentials for webhooks.

    Source:
    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
    """
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(webhook_client),
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {"name": f"{kind}AdmissionWebhook", "configuration": configuration}
            for kind in ("Mutating", "Validating")
        ],
    }


def _client_of_the_api_server(plan: _Plan, name: str) -> list[str]:
    kubeconfig = plan.folder.kubeconfig(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--secure-port={plan.settings.ports[name]}",
        f"--bind-address={_LOOPBACK}",
        f"--tls-cert-file={plan.certificates.certificate('serving')}",
        f"--tls-private-key-file={plan.certificates.key('serving')}",
        "--leader-elect=false",
        # Their health, too, is only for clients with certificates.
        "--authorization-always-allow-paths=",
        "--profiling=false",
    ]


def _kube_controller_manager(plan: _Plan) -> Part:
    name = "kube-controller-manager"
    arguments = [
        *_client_of_the_api_server(plan, name),
        f"--service-account-private-key-file={plan.certificates.service_account_key}",
        f"--root-ca-file={plan.certificates.authority('cluster')}",
        "--use-service-account-credentials=true",
        # With one node, frequent checks cost nothing, and a restarted node is usable sooner.
        "--node-monitor-period=1s",
        # With the default of twenty requests a second, a thousand Jobs would take a minute.
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]
    return plan.part(
        name,
        arguments,
        plan.ready.kube_controller_manager,
        after=("kube-apiserver",),
        files=(plan.folder.kubeconfig(name),),
    )


def _kube_scheduler(plan: _Plan) -> Part:
    name = "kube-scheduler"
    return plan.part(
        name,
        _client_of_the_api_server(plan, name),
        plan.ready.kube_scheduler,
        after=("kube-apiserver",),
        files=(plan.folder.kubeconfig(name),),
    )


def _kueue(plan: _Plan) -> Part:
    folder, ports = plan.folder.part("kueue"), plan.settings.ports
    # The folders' names are compiled into the program (``building``), relative to its working
    # directory.
    for purpose in ("metrics", "visibility", "webhook"):
        target = folder / "certs" / purpose
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for source, name in (
            (plan.certificates.certificate("serving"), "tls.crt"),
            (plan.certificates.key("serving"), "tls.key"),
        ):
            shutil.copyfile(source, target / name)
            (target / name).chmod(0o600)
    # The authority of the webhooks' clients; its name is also compiled into the program.
    authority = folder / "certs" / "webhook" / "client-ca.crt"
    write_private(authority, plan.certificates.authority("kueue-webhook").read_text())
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": "kueue-system",
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "webhook": {"host": _LOOPBACK, "port": ports["kueue-webhook"], "certDir": "certs/webhook"},
        "metrics": {"bindAddress": "0"},
        # It would be public; the webhooks, which start last, show the health to authorized clients.
        "health": {"healthProbeBindAddress": "0"},
        "visibilityServer": {"bindAddress": _LOOPBACK, "bindPort": ports["kueue-visibility"]},
        "integrations": {"frameworks": ["batch/job"]},
        "manageJobsWithoutQueueName": True,
        "managedJobsNamespaceSelector": {"matchLabels": QUEUE_REQUIRED},
        "featureGates": {"UnadmittedWorkloadsObservability": True},
    }
    written = folder / "kueue.yaml"
    write_private(written, yaml.safe_dump(configuration, sort_keys=False))
    kubeconfig = plan.folder.kubeconfig("kueue")
    return plan.part(
        "kueue",
        [f"--config={written}", f"--kubeconfig={kubeconfig}"],
        plan.ready.kueue,
        after=("kube-apiserver",),
        files=(written, kubeconfig),
    )


def _object_store(plan: _Plan) -> Part:
    folder = plan.folder.part("object-store")
    files = write_object_store_files(folder, plan.settings, plan.certificates)
    command = object_store_command(plan.settings.ports)
    return Part(
        name="object-store",
        command=command,
        port=plan.settings.ports["object-store"],
        ports=tuple(plan.settings.ports_of("object-store").values()),
        after=(),
        ready=plan.ready.object_store,
        fingerprint=plan.fingerprint(command, files),
    )


def _node(plan: _Plan) -> Part:
    cores, memory = machine_capacity()
    certificates = plan.certificates
    configuration = {
        "name": NODE_NAME,
        "kubeconfig": str(plan.folder.kubeconfig("node")),
        "dir": str(plan.folder.node),
        "address": _LOOPBACK,
        "port": plan.settings.ports["node"],
        "tls_cert": str(certificates.certificate("serving")),
        "tls_key": str(certificates.key("serving")),
        "client_ca": str(certificates.authority("node-client")),
        "cpu": str(cores),
        "memory": str(memory),
        "gpus": plan.settings.gpus,
        "images": {name: {"prefix": p} for name, p in sorted(plan.settings.images.items())},
    }
    written = plan.folder.path / "node.json"
    write_private(written, json.dumps(configuration, indent=2))
    sources = sorted((Path(__file__).parent / "node").glob("*.py"))
    command = [sys.executable, "-m", "jupyter_kueue_local.node", "--config", str(written)]
    return Part(
        name="node",
        command=command,
        port=plan.settings.ports["node"],
        ports=(plan.settings.ports["node"],),
        after=("kube-apiserver",),
        ready=plan.ready.node,
        fingerprint=plan.fingerprint(command, (written, plan.folder.kubeconfig("node"), *sources)),
        grace_seconds=4.0,
        whole_environment=True,
    )
