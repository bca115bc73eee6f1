"""Builds the labextension where a package is made from a checkout that has not built it yet."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LabextensionHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build it, except for an editable install: `make` does so itself and links it."""
        root = Path(self.root)
        is_built = (root / "jupyter_kueue" / "labextension" / "package.json").exists()
        if version != "editable" and not is_built:
            subprocess.run([root / "scripts" / "build-labextension"], check=True)
