"""The stretches of time that a page can show."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flask import abort

from ..durations import ago


class Window(NamedTuple):
    """A stretch of time that ends now.

    :param name: its name in an address, and in a sentence after "the last".
    :param age: its length, as the filters of the list write it.
    :param bucket: the length of each bar of a drawing.
    :param bars: the number of bars.
    """

    name: str
    age: str
    bucket: timedelta
    bars: int

    @property
    def since(self) -> datetime:
        """The time at which it begins."""
        return ago(self.age)

    @property
    def first_bar(self) -> datetime:
        """The time at which its first bar begins. Bars begin at multiples of their length."""
        seconds = int(self.bucket.total_seconds())
        last = int(datetime.now(UTC).timestamp()) // seconds * seconds
        return datetime.fromtimestamp(last - (self.bars - 1) * seconds, UTC)

    def bar(self, moment: datetime, first: datetime) -> int:
        """Tell in which bar a moment is.

        :param moment: the moment.
        :param first: the time at which the first bar began. The last bar has what came since, too.
        """
        return min((moment - first) // self.bucket, self.bars - 1)


HOUR = Window('hour', '1h', timedelta(minutes=1), 60)
DAY = Window('day', '1d', timedelta(minutes=30), 48)
WEEK = Window('week', '7d', timedelta(hours=4), 42)
WINDOWS = {window.name: window for window in (HOUR, DAY, WEEK)}


def chosen(name: str) -> Window:
    """Give the window that an address names.

    :raises BadRequest: where there is none. The error lists them.

    >>> chosen('day').age
    '1d'
    """
    if name not in WINDOWS:
        abort(400, f'window: {name!r} is none of {", ".join(WINDOWS)}.')
    return WINDOWS[name]
