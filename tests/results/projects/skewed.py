"""The service `once` on a machine whose clock is wrong by `CLOCK` seconds, for all that call `time.time`."""

from __future__ import annotations

import os
import time

_right = time.time
time.time = lambda: _right() + float(os.environ['CLOCK'])

from once import app  # noqa: E402  # kombu takes the function when it is imported

__all__ = ['app']
