"""A service that has none of the first one's code."""

from __future__ import annotations

from service import make_app

app = make_app('messaging', 'msg_tasks')
