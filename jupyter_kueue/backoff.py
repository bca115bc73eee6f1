"""Pauses between retries.

Why this is not a library: docs/architecture.md, "When the cluster or the bucket is unavailable".
"""

from __future__ import annotations

import random


class Backoff:
    """Pauses that grow from failure to failure: exponential, with equal jitter.

    Half of each pause is random, so that clients that lost the same server do not all return to it
    at the same moment (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    """

    def __init__(
        self,
        first_seconds: float,
        longest_seconds: float,
        *,
        factor: float = 2.0,
        jitter: float = 0.5,
    ) -> None:
        """``jitter`` is the share of a pause that is random, from 0 to 1."""
        self._first = first_seconds
        self._longest = longest_seconds
        self._factor = factor
        self._jitter = jitter
        self._pause = first_seconds

    def next(self, longest_seconds: float | None = None) -> float:
        """Return how many seconds to pause now; the next pause is longer.

        ``longest_seconds`` limits this pause further. The following ones grow from there.
        """
        longest = self._longest
        if longest_seconds is not None:
            longest = min(longest, longest_seconds)
        pause = min(self._pause, longest)
        self._pause = min(pause * self._factor, self._longest)
        return pause * random.uniform(1 - self._jitter, 1)  # noqa: S311 - jitter

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._pause = self._first


def pause_by_age(age_seconds: float, shortest_seconds: float, longest_seconds: float) -> float:
    """Return how many seconds to pause before the next look at a state ``age_seconds`` old.

    It is a quarter of the age, within the two bounds: the end of the state is noticed at most a
    quarter late, and nothing has to be remembered between looks.
    """
    return min(max(age_seconds / 4, shortest_seconds), longest_seconds)
