"""The program of the node agent: ``python -m jupyter_kueue_local.node --config node.json``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from jupyter_kueue.domain import errors
from jupyter_kueue_local.node import node_config
from jupyter_kueue_local.node.agent import run_node


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_kueue_local.node")
    parser.add_argument("--config", type=Path, required=True, help="node.json of the local cluster")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(run_node(node_config.load(arguments.config)))
    except errors.JupyterKueueError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - a program's last word
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
