"""Makes ``python -m jupyter_kueue.cli`` the command if the script is not installed."""

from __future__ import annotations

import sys

from jupyter_kueue.cli import main

if __name__ == "__main__":
    sys.exit(main())
