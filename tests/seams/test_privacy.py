"""Only `cadasta.workertoolbox.seams` uses what Celery and its companions keep to themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import cadasta.workertoolbox

from .privacy import LIBRARIES, defined, uses

PACKAGE = Path(cadasta.workertoolbox.__file__).parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob('*.py')}

#: These are used elsewhere, each for a reason.
ALLOWED = {
    ('conf.py', "vars(self)['_topology']"): "the name is this package's own, which a literal does not show",
    ('settings/credentials.py', "getattr(value, '_make', kind)"): 'Python documents it for named tuples',
}


@cache
def found() -> set[tuple[str, str]]:
    outside = {name: source for name, source in SOURCES.items() if not name.startswith('seams/')}
    names = frozenset().union(*(defined(ast.parse(source)) for source in SOURCES.values()))
    return {(name, use) for name, source in outside.items() for use in uses(source, names)}


def test_nothing_private_is_used_outside_the_seams() -> None:
    assert found() - ALLOWED.keys() == set()


def test_what_is_allowed_is_used() -> None:
    assert ALLOWED.keys() - found() == set()


@pytest.mark.parametrize(
    'source',
    [
        'app._pool',
        'app._pool = pool',
        'app.amqp.queues._consume_from',
        'self._channel._lookup()',
        'self._not_of_this_package',
        'super()._lookup()',
        'task.__header__',
        "getattr(task, '__header__', None)",
        "hasattr(task, '_backend')",
        "vars(app)['_pool']",
        "app.__dict__['_pool']",
        'import celery._state',
        'import kombu.transport.SQS',
        'from celery import _state',
        'from celery.app.defaults import _TO_NEW_KEY',
        'from celery.backends.database.models import Task',
        'from celery.local import Proxy',
        'from amqp.method_framing import frame_handler',
        'def f():\n    from kombu.transport.SQS import Channel',
    ],
)
def test_a_use_is_found(source: str) -> None:
    assert list(uses(source, {'_channel'}))


@pytest.mark.parametrize(
    'source',
    [
        'self._channel',
        'row._mapping',
        'type(task).__name__',
        "app.__dict__['amqp']",
        'vars(task)[name]',
        'getattr(task, name)',
        'from celery import Celery',
        'from kombu.transport import pyamqp',
        'from .seams.sqs import _name',
        'import json',
        'class One:\n    _hash = 1\n    def __eq__(self, other): return self._hash == other._hash',
    ],
)
def test_what_is_public_or_our_own_is_no_use(source: str) -> None:
    assert list(uses(source, {'_channel', '_hash'})) == []


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages([str(PACKAGE)], 'cadasta.workertoolbox.'):
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        if '.seams.' not in module.name:
            yield from (value for _, value in members if value.__module__ == module.name)


def overridden(kind: type) -> set[str]:
    """Name the private attributes of a library's class that a class replaces."""
    inherited = {
        name for base in kind.__mro__[1:] if base.__module__.partition('.')[0] in LIBRARIES for name in vars(base)
    }
    # Python gives the last to each class of which there can be virtual subclasses.
    replaced = inherited & set(vars(kind)) - {'_abc_impl'}
    return {name for name in replaced if name.startswith('_') and not name.endswith('__')}


def test_no_class_replaces_what_is_private_to_its_base() -> None:
    assert {kind: names for kind in classes() if (names := overridden(kind))} == {}


def test_a_replaced_attribute_is_found() -> None:
    from kombu.transport.virtual.exchange import TopicExchange

    class Cached(TopicExchange):
        _compiled: dict[str, object] = {}  # noqa: RUF012  # as kombu has it

    assert overridden(Cached) == {'_compiled'}
