"""Celery: the function of an app that gives the message of a task to a producer."""

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery

#: Chooses the producer that gets a message, for an app, the producer of the call, and the headers of the message.
Choice = Callable[[Celery, Any, Mapping[str, Any]], Any]


class _Sender:
    def __init__(self, app: Celery, send: Any, choose: Choice) -> None:
        self._app = app
        self._send = send
        self.choose = choose

    def __call__(self, producer: Any, name: str, message: Any, **options: Any) -> Any:
        return self._send(self.choose(self._app, producer, message.headers), name, message, **options)


def choose_producers(app: Celery, choose: Choice) -> None:
    """Let a function choose the producer that gets the messages of an app's tasks.

    It replaces ``app.amqp.send_task_message``, a cached property, and uses the headers of the message. Celery calls it
    for each task, whoever has found the producer. A replacement of the public ``app.producer_or_acquire`` would miss
    the tasks for which it is given a producer, such as those of a group.

    :param app: the app.
    :param choose: the function. Celery's signals about publishing are sent after it was called.
    """
    send = app.amqp.send_task_message
    if getattr(send, 'choose', None) is not choose:
        app.amqp.send_task_message = _Sender(app, send, choose)
