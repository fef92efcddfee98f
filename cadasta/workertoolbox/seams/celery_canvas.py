"""Celery: what a chord sends, before it sends it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, NamedTuple

from celery import Celery, Signature, Task, chord, group
from celery.backends.base import BaseBackend
from celery.canvas import _chain, _is_chain_led_by_task
from celery.exceptions import NotRegistered
from kombu.serialization import dumps

# What `send_task` keeps from the router.
_NOT_ROUTED = frozenset(inspect.signature(Celery.send_task).parameters)


class Message(NamedTuple):
    """A message that a chord is about to send.

    :param app: the app that sends it.
    :param name: the name by which it is routed.
    :param args: the arguments of its task.
    :param kwargs: the keyword arguments of its task.
    :param options: the options of its task and of the call.
    :param task: its task, if the app has it.
    """

    app: Celery
    name: str
    args: Any
    kwargs: Any
    options: dict[str, Any]
    task: Task | None = None

    def is_sent_by_celery(self) -> bool:
        """Tell whether Celery's own methods send it, and not those of a subclass, which may do as they like."""
        is_own_task = self.task is not None and type(self.task).apply_async is not Task.apply_async
        return type(self.app).send_task is Celery.send_task and not is_own_task

    def check(self) -> None:
        """Raise the error that Celery would raise: about the arguments, the route, or what cannot be serialized.

        It uses ``task.__header__`` and ``task._dump_pydantic_arguments``, as ``apply_async`` does.
        """
        args, kwargs, task = self.args, self.kwargs, self.task
        serializer = self.options.get('serializer') or self.app.conf.task_serializer
        if task is not None:
            if task.typing and hasattr(task, '__header__'):
                task.__header__(*args, **kwargs)
            if task._dump_pydantic_arguments is not None and serializer != 'pickle':
                args, kwargs = task._dump_pydantic_arguments(args, kwargs)
        self.app.amqp.router.route(dict(self.options), self.name, args, kwargs, task)
        dumps((args, kwargs), serializer=serializer)


def before_chords(check: Callable[[Iterator[Message]], None]) -> None:
    """Let a function look at all that a chord is about to send, before it sends the first message.

    It replaces the method ``run`` of `celery.chord`, which sends ``celery.chord_unlock`` and then the tasks of the
    header. Celery asks the result backend to send the first, and does not tell it about the others. It has no signal
    and no hook before that.

    :param check: gets the messages. An error that it raises goes to the caller, and the chord sends nothing.
    """
    run = chord.run

    @wraps(run)
    def checked(
        self: Any, header: Any, body: Any, partial_args: Any, app: Any = None, kwargs: Any = None, **options: Any
    ) -> Any:
        given = {**self.options, **options}
        check(_header(app or self._get_app(body), header.tasks, partial_args or (), kwargs or {}, given))
        return run(self, header, body, partial_args, app=app, kwargs=kwargs, **options)

    chord.run = checked


def _header(
    app: Celery, tasks: Iterable[Any], args: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[Message]:
    for task in tasks:
        yield from _sent(app, task, args, kwargs, options)


def _sent(
    app: Celery, task: Any, args: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[Message]:
    """List what a signature sends at once. A worker sends what comes after the first step of a chain."""
    signature = _signature(app, task)
    given = {name: value for name, value in options.items() if value is not None}
    merged_args, merged_kwargs, merged = signature._merge(args, kwargs, given)
    if isinstance(signature, _chain):
        yield from _first_step(app, signature, args, kwargs, merged)
    elif isinstance(signature, group):
        yield from _header(app, signature.tasks, merged_args, kwargs, merged)
    elif isinstance(signature, chord):
        tasks = getattr(signature.tasks, 'tasks', signature.tasks)
        yield from _header(app, tasks, merged_args, {**signature.kwargs['kwargs'], **kwargs}, merged)
        yield from _unlock(app, signature.body)
    else:
        yield _task(app, signature, merged_args, merged_kwargs, merged)


def _task(app: Celery, signature: Signature, args: Any, kwargs: Any, options: Mapping[str, Any]) -> Message:
    task = _type(signature)
    sender = (signature._app or app) if task is None else task.app
    return Message(sender, signature.task, args, kwargs, _routed(task, options), task)


def _first_step(
    app: Celery, signature: Signature, args: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[Message]:
    steps = list(_steps(app, signature))
    while len(steps) > 1 and isinstance(steps[0], group) and not steps[0].tasks:
        steps.pop(0)
    for step in steps[:1]:
        if isinstance(step, chord) and _is_chain_led_by_task(step.body):
            # Only the first step of the body stays in the chord.
            step = step._unroll_body()[0]
        yield from _sent(app, step, args, kwargs, options)
        # Celery makes a chord of a group and what comes after it.
        if len(steps) > 1 and isinstance(step, group) and len(step.tasks) > 1:
            yield from _unlock(app, steps[1])


def _steps(app: Celery, signature: Signature) -> Iterator[Signature]:
    for task in signature.tasks:
        step = _signature(app, task)
        if isinstance(step, _chain):
            yield from _steps(app, step)
        else:
            yield step


def _unlock(app: Celery, body: Any) -> Iterator[Message]:
    """Give the message that waits for the header of a chord. It goes to the queue of the body."""
    backend = app.backend
    # Some backends count the results, and send no such message.
    if type(backend).apply_chord is BaseBackend.apply_chord and 'apply_chord' not in vars(backend):
        body = _signature(app, body)
        options = {name: body.options.get(name) for name in ('queue', 'routing_key')}
        options['queue'] = options['queue'] or getattr(_type(body), 'queue', None)
        yield Message(app, body.name, (), {}, options)


def _signature(app: Celery, task: Any) -> Any:
    return task if isinstance(task, Signature) else Signature.from_dict(task, app=app)


def _type(signature: Signature) -> Any:
    try:
        return signature.type
    except NotRegistered:
        return None


def _routed(task: Task | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options that the router gets.

    It uses ``task._get_exec_options``.
    """
    own = {} if task is None else task._get_exec_options()
    return {name: value for name, value in {**own, **options}.items() if name not in _NOT_ROUTED}
