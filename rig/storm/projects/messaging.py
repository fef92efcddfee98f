"""The service `msg`, which has none of the code of the service `export`."""

from __future__ import annotations

from service import make_app

app = make_app('messaging', 'msg_tasks')
