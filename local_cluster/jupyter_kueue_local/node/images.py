"""The node's images: names declared in ``node.json``, each a Python environment.

Nothing is ever downloaded: an undeclared name fails like an image that no registry has, in the
kubelet's words (``pkg/kubelet/images/image_manager.go``).
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
    """How often one container's image was not found, and when to look for it again."""

    failures: int = 0
    failed_at: float = 0.0
    retry_at: float = 0.0

    def failed(self, now: float) -> None:
        """Note a failure at ``now`` (seconds on any monotonic clock)."""
        delay = min(_FIRST_BACKOFF_SECONDS * 2**self.failures, _LONGEST_BACKOFF_SECONDS)
        self.failures += 1
        self.failed_at = now
        self.retry_at = now + delay


def find_prefix(images: dict[str, Path], image: str) -> Path | None:
    """Return the folder of an image, None if it is not declared.

    A name without a tag means ``:latest``, as usual.
    """
    return images.get(image) or images.get(_tagged(image)) or _untagged(images).get(_tagged(image))


def not_found_message(images: dict[str, Path], image: str) -> str:
    """Return the message for an undeclared image, with what to do."""
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
