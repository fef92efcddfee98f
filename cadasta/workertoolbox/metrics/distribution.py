"""Count durations by their length, as a histogram of Prometheus has them."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Distribution:
    """Counts durations in buckets.

    One thread counts at a time, and others may read meanwhile.

    :param bounds: the longest duration of each bucket, in seconds, in their order. Longer ones have a bucket too.

    >>> seconds = Distribution((1, 60))
    >>> for value in (0.5, 1, 3600): seconds.add(value)
    >>> seconds.buckets, seconds.total
    ([('1.0', 2), ('60.0', 2), ('+Inf', 3)], 3601.5)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._names = [*(str(float(bound)) for bound in bounds), '+Inf']
        self._counts = [0] * len(self._names)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration. The clocks of two machines may make one that is below 0, which counts as 0."""
        seconds = max(seconds, 0.0)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """For each bound, as Prometheus writes it, how many durations were no longer."""
        return list(zip(self._names, accumulate(self._counts), strict=True))
