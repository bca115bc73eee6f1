"""Which images the node has: names declared in ``node.json``, each a Python environment.

``pod_worker`` asks before each start of a container. Nothing is ever downloaded: an undeclared name
fails as an image does that no registry has, in the kubelet's words
(``pkg/kubelet/images/image_manager.go``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_BACKOFF_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 300.0


@dataclass
class PullBackoff:
    """How often an image was not found for one container, and when it is looked for again."""

    failures: int = 0
    failed_at: float = 0.0
    retry_at: float = 0.0

    def failed(self, now: float) -> None:
        """Note a failure at ``now`` (seconds of any clock that only goes forward)."""
        delay = min(_FIRST_BACKOFF_SECONDS * 2**self.failures, _LONGEST_BACKOFF_SECONDS)
        self.failures += 1
        self.failed_at = now
        self.retry_at = now + delay


def find_prefix(images: dict[str, Path], image: str) -> Path | None:
    """Return the folder of an image, None if it is not declared.

    A name without a tag means ``:latest``, as everywhere.
    """
    return images.get(image) or images.get(_tagged(image)) or _untagged(images).get(_tagged(image))


def not_found_message(images: dict[str, Path], image: str) -> str:
    """Return what is wrong with an undeclared image, and what to do."""
    known = ", ".join(sorted(images)) or "none"
    return (
        f'failed to pull image "{image}": this node knows only declared images ({known}); declare '
        f"it with `jupyter kueue local up --image {image}=<Python environment folder>`"
    )


def _tagged(image: str) -> str:
    last = image.rsplit("/", 1)[-1]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _untagged(images: dict[str, Path]) -> dict[str, Path]:
    return {_tagged(name): prefix for name, prefix in images.items()}
