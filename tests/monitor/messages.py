"""Messages as Celery makes them, without a broker."""

from __future__ import annotations

import json
from typing import Any

from celery import Celery

from cadasta.workertoolbox.monitor.message import Message

app = Celery('messages', set_as_current=False)


def message(
    task_id: str = '1',
    name: str = 'export.project',
    *args: Any,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    body: bytes | None = None,
    **options: Any,
) -> Message:
    """A message of protocol 2.

    :param options: for `as_task_v2`: retries, eta, kwargs, ...
    :param headers: headers that are laid over Celery's own
    :param properties: properties that are laid over Celery's own
    :param body: the body instead of Celery's own
    """
    made = app.amqp.as_task_v2(task_id, name, args=args, **options)
    return Message(
        receipt=task_id,
        body=json.dumps(made.body).encode() if body is None else body,
        headers={**made.headers, **(headers or {})},
        properties={
            'content_type': 'application/json',
            'content_encoding': 'utf-8',
            **made.properties,
            **(properties or {}),
        },
        routing_key='export',
    )


def first_protocol(task_id: str = '1', name: str = 'export.project', *args: Any, **options: Any) -> Message:
    """A message of protocol 1."""
    made = app.amqp.as_task_v1(task_id, name, args=args, **options)
    return Message(
        receipt=task_id,
        body=json.dumps(made.body).encode(),
        headers=made.headers,
        properties={'content_type': 'application/json', 'content_encoding': 'utf-8', **made.properties},
        routing_key='export',
    )
