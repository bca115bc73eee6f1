"""``stage-out``: the sidecar that brings a run's progress and outputs into the bucket.

Runs beside the notebook container from before its start until after its end, and exits when it is
told to stop. It never touches the kernel. The work itself is ``sidecar``'s.
"""

from __future__ import annotations

from jupyter_kueue.runner.stopping import Stop


def main() -> None:
    """Do the sidecar's work and exit once told to stop."""
    stop = Stop()
    from jupyter_kueue.runner import sidecar  # noqa: PLC0415 - slow, and SIGTERM is heeded first

    sidecar.main(stop)


if __name__ == "__main__":
    main()
