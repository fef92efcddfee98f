"""One class that configures an app: the difference between Celery's defaults and what the platform needs."""

import os
import re
import warnings
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from celery.app.defaults import _TO_NEW_KEY as NEW_NAMES
from celery.app.utils import filter_hidden_settings
from kombu import Exchange, Queue

from . import DEFAULT_QUEUES
from . import signals as _connected  # noqa: F401  # its receivers serve every app that uses Config
from .architecture import DEFAULT_QUEUE, EXCHANGE, FIFO, PLATFORM_QUEUE
from .backends import is_database
from .settings import environment
from .settings.credentials import masked
from .topology import Topology

#: The longest name that Amazon SQS gives a queue, prefix included, in characters.
MAX_QUEUE_NAME = 80

_QUEUE_NAME = re.compile(rf'[A-Za-z0-9_-]+(?:{re.escape(FIFO)})?')
_QUEUE_PREFIX = re.compile(r'[A-Za-z0-9_-]*')
_HOST = re.compile(r'[^/@?#\s]*')
_DRIVERLESS = re.compile(r'^((?:db\+|database\+)?)postgresql://')
_QUERY_PASSWORD = re.compile(r'[?&]\w*(?:pass|secret|token)\w*=', re.IGNORECASE)
# Celery would take such a password for a list of servers, and show a part of it.
_LIST = re.compile('[,;].*:')
_BROKER_URLS = ('broker_url', 'broker_read_url', 'broker_write_url')
_AMQP = ('amqp', 'amqps', 'pyamqp')


class _ToBeMade(ABCMeta):
    """Celery takes a class for a configuration, and would find none of our settings in it."""

    def __getattr__(cls, name: str) -> Any:
        if name in environment.OPTIONS:
            how = f'app.config_from_object({cls.__name__}())'
            raise TypeError(f'{cls.__name__} is a class, with no {name} yet. Configure the app with an instance: {how}')
        raise AttributeError(f'{cls.__name__} has no attribute {name!r}')


class Config(Mapping[str, Any], metaclass=_ToBeMade):
    """The configuration of an app whose every task and result is accounted for.

    A setting comes from the first that has it: keyword, attribute of a subclass, environment, default. Any setting
    of Celery may be given, in lower case; upper case is for variables. All of them can be read as attributes, and
    from the app as ``app.conf.NAME``. The manual has a table of them.

    :param QUEUES: the names of the work queues. A task goes to the queue named like the part of the task's name
        before the first dot.
    :param settings: settings and variables. ``QUEUE_PREFIX`` is another spelling of ``QUEUE_NAME_PREFIX``.
    :raises ValueError: where a setting cannot be used; it names the setting, the value and what is allowed.

    >>> from celery import Celery
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export', 'msg'], task_time_limit=60))
    >>> app.conf.task_default_exchange, app.conf.task_time_limit, app.conf.QUEUE_NAME_PREFIX
    ('task_exchange', 60, 'dev')
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, QUEUES: Sequence[str] | None = None, **settings: Any) -> None:  # noqa: N803  # a variable
        if QUEUES is not None:
            settings['QUEUES'] = QUEUES
        given = {**self._subclass_attributes(), **_renamed(settings)}
        for name in given:
            _check_name(name)
        prefix = _text('ENV_PREFIX', given.get('ENV_PREFIX', _VARIABLES['ENV_PREFIX'].default))
        given = {**environment.read(os.environ, prefix), **_variables_from(os.environ, prefix), **given}
        self.__dict__.update({name: variable.default for name, variable in _VARIABLES.items()})
        self.__dict__.update(_SETTINGS)
        self.__dict__.update(given)
        for name, variable in _VARIABLES.items():
            self.__dict__[name] = variable.parse(name, self[name])
        self._set_broker()
        self._set_topology()
        self._set_result_backend()

    @classmethod
    def _subclass_attributes(cls) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for klass in reversed(cls.__mro__[: cls.__mro__.index(Config)]):
            names = (name for name in vars(klass) if not name.startswith('_'))
            attributes = {name: getattr(klass, name) for name in names}
            for name, value in attributes.items():
                if hasattr(value, '__get__') and not callable(value):
                    raise ValueError(f'{klass.__name__}.{name} is computed, {value!r}: give it a value, or a keyword')
            values.update(
                _renamed(
                    {
                        name: value
                        for name, value in attributes.items()
                        if name in environment.OPTIONS or not callable(value)
                    }
                )
            )
        return values

    def _set_broker(self) -> None:
        for name in _BROKER_URLS:
            _check_url(name, self.get(name))
            # Celery itself reads these, and prefers them.
            _check_url(name, os.environ.get(f'CELERY_{name.upper()}'))
        broker_url, read_url, write_url = (
            os.environ.get(f'CELERY_{name.upper()}') or self.get(name) for name in _BROKER_URLS
        )
        if not (broker_url or read_url or write_url):
            self.__dict__.setdefault('broker_transport', 'sqs')
        transport = _transport(write_url or broker_url, self.get('broker_transport'))
        given = self.get('broker_transport_options') or {}
        if not isinstance(given, Mapping):
            raise _bad('broker_transport_options', given, 'a dict')
        self.broker_transport_options = {
            'region': 'us-west-2',
            'queue_name_prefix': f'{self.QUEUE_NAME_PREFIX}-',
            # Without it, what was sent into a connection before it turned out to be broken is lost without an error.
            **({'confirm_publish': True} if transport in _AMQP else {}),
            **given,
        }
        self._grouped = transport == 'sqs'

    def _set_topology(self) -> None:
        name = _text('task_default_exchange', self.task_default_exchange)
        exchange = Exchange(name, _text('task_default_exchange_type', self.task_default_exchange_type))
        queues = self.get('task_queues')
        self._topology = Topology(
            exchange,
            [Queue(name, exchange) for name in self._queue_names()] if queues is None else queues,
            self.PLATFORM_QUEUE_NAME,
            create_missing=bool(self.task_create_missing_queues),
            grouped=self._grouped,
            missing_arguments=self._missing_arguments(),
        )
        if self.broker_transport_options.get('predefined_queues'):
            for queue in self._topology.queues - {self._topology.platform}:
                _check_predefined(queue)
        self.task_queues = self._topology.queues
        self.__dict__.setdefault('task_routes', self._topology.route)

    def _missing_arguments(self) -> dict[str, Any]:
        """Give the arguments of the queues that Celery makes: RabbitMQ refuses a second declaration with others."""
        kind, priority = self.get('task_create_missing_queue_type'), self.get('task_queue_max_priority')
        return {
            **({'x-queue-type': kind} if kind == 'quorum' else {}),
            **({'x-max-priority': priority} if priority is not None else {}),
        }

    def _queue_names(self) -> list[str]:
        prefix = self.broker_transport_options['queue_name_prefix']
        names = dict.fromkeys([DEFAULT_QUEUE, *self.QUEUES, self.PLATFORM_QUEUE_NAME])
        for name in names:
            if len(f'{prefix}{name}') > MAX_QUEUE_NAME:
                raise ValueError(
                    f'The name of queue {name!r} is {len(f"{prefix}{name}")} characters long with its prefix '
                    f'{prefix!r}: at most {MAX_QUEUE_NAME} are allowed. Shorten the name or QUEUE_NAME_PREFIX.'
                )
        return list(names)

    def _set_result_backend(self) -> None:
        template = self['result_backend']
        if not isinstance(template, str):
            return
        try:
            rendered = template.format(_Encoded(self))
        except Exception:
            error = ValueError(f"Unable to render 'result_backend' value: {masked(template)!r}")
            error.add_note(
                'Its placeholders are settings and variables of this Config, such as {0.RESULT_DB_HOST}. '
                'Write {{ and }} for braces.'
            )
            raise error from None
        url = _DRIVERLESS.sub(r'\1postgresql+psycopg2://', rendered)
        _check_url('result_backend', url)
        self.__dict__['result_backend'] = url
        # Celery reads this variable before any configuration, and takes it as it stands.
        if os.environ.get('CELERY_RESULT_BACKEND', url) not in ('', url):
            warnings.warn(
                "Celery itself reads CELERY_RESULT_BACKEND from the environment, as it stands and before this Config's "
                f'result_backend, {masked(url)!r}. Unset it, or write that URL there.',
                stacklevel=3,
            )

    @property
    def topology(self) -> Topology:
        """The exchange, queues and router of this configuration."""
        return self._topology

    def to_dict(self) -> dict[str, Any]:
        """Copy the settings of Celery, in lower case, without the variables.

        :returns: the settings with their values, credentials included.

        >>> Config(QUEUES=['export']).to_dict()['task_track_started']
        True
        """
        return {name: self[name] for name in self._names() if name == name.lower()}

    def __repr__(self) -> str:
        from pprint import pformat

        return f'{type(self).__name__}({pformat(masked(self.to_dict()))})'

    def __getitem__(self, name: str) -> Any:
        if name.startswith('_'):
            raise KeyError(name)
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        # What is iterated over is printed by `celery report`, which looks for credentials in names that sound like
        # it and in the URLs of broker and backend. A credential elsewhere can be read by name, and is not listed.
        return (name for name in self._names() if not _leaks(name, self[name]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _names(self) -> list[str]:
        return [name for name in self.__dict__ if not name.startswith('_')]


_RESERVED = frozenset(dir(Config))


class _Encoded:
    """A Config as a template sees it: what could break a URL is percent-encoded."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        encode = _ENCODERS.get(name)
        return encode(value) if encode else value


def _quoted(value: str) -> str:
    return quote(value, safe='')


def _database_name(name: str) -> str:
    # SQLAlchemy decodes the name of the database since 2.1; before, it takes the name as it stands.
    if _quoted(name) == name:
        return name
    # Rarely needed, and a quarter of what the import of this module would cost.
    from importlib.metadata import version

    major, minor, *_ = version('SQLAlchemy').split('.')
    return _quoted(name) if (int(major), int(minor)) >= (2, 1) else name


def _host(host: str) -> str:
    return f'[{host}]' if ':' in host and not host.startswith('[') else host


_ENCODERS: dict[str, Callable[[str], str]] = {
    'RESULT_DB_USER': _quoted,
    'RESULT_DB_PASS': _quoted,
    'RESULT_DB_NAME': _database_name,
    'RESULT_DB_HOST': _host,
}


def _bad(name: str, value: Any, allowed: str) -> ValueError:
    return ValueError(f'{name} is {masked(value, name)!r}: it must be {allowed}')


def _renamed(settings: dict[str, Any]) -> dict[str, Any]:
    if 'QUEUE_PREFIX' not in settings:
        return settings
    if 'QUEUE_NAME_PREFIX' in settings:
        raise ValueError('QUEUE_PREFIX and QUEUE_NAME_PREFIX are one variable: give one of them')
    settings = dict(settings)
    return {'QUEUE_NAME_PREFIX': settings.pop('QUEUE_PREFIX'), **settings}


def _check_name(name: str) -> None:
    new_name = NEW_NAMES.get(name, name.removeprefix('CELERY_').lower())
    if name.startswith('_') or name in _RESERVED:
        raise ValueError(f'{name!r} cannot be the name of a setting: Config uses it itself')
    if name != new_name and new_name in environment.OPTIONS:
        raise ValueError(f'{name} is no setting: Celery spells it {new_name} now')
    if name == name.lower() and name not in environment.OPTIONS:
        from difflib import get_close_matches

        (closest,) = get_close_matches(name, environment.OPTIONS, n=1, cutoff=0)
        warnings.warn(f'Celery has no setting {name!r}. The closest is {closest!r}.', stacklevel=3)


def _check_url(name: str, url: Any) -> None:
    if not isinstance(url, str):
        return
    if _QUERY_PASSWORD.search(url):
        raise ValueError(f'{name} has a password in its query, where Celery would log it: write user:password@host')
    for part in [url] if is_database(url) else url.split(';'):
        if not _is_clear(part):
            raise ValueError(
                f'{name} is {masked(url)!r}: it cannot be read as a URL. If its password has other characters than '
                'letters and digits, percent-encode them, with urllib.parse.quote(password, safe="")'
            )


def _is_clear(url: str) -> bool:
    """Tell whether there is one way to read a URL: Celery would show the password of another."""
    if '://' not in url:
        return '@' not in url or ':' in url.partition('@')[0]
    try:
        authority = urlsplit(url).netloc
        userinfo, _, host = authority.rpartition('@')
        # Some transports take a list of hosts.
        _ = ',' in host or urlsplit(url).port
    except ValueError:
        return False
    return not authority or ('@' not in url.partition(authority)[2] and not _LIST.search(userinfo.partition(':')[2]))


def _check_predefined(queue: Queue) -> None:
    # kombu looks up the queue of an acknowledgement by the routing key.
    if queue.routing_key != queue.name:
        kind = 'is a FIFO work queue' if queue.name.endswith(FIFO) else f'has the routing key {queue.routing_key!r}'
        raise ValueError(
            f'broker_transport_options has predefined_queues, and {queue.name!r} {kind}: its messages could not be '
            'acknowledged, and each task would run again. Leave out predefined_queues, or make it a standard queue, '
            f'{queue.routing_key!r}.'
        )


def _transport(url: Any, transport: Any) -> str:
    if isinstance(url, (list, tuple)):
        url = url[0] if url else None
    if isinstance(url, str) and '://' in url:
        transport = url.partition('://')[0]
    return str(transport or 'amqp').lower()


def _variables_from(environ: Mapping[str, str], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, variable in _VARIABLES.items():
        key = variable.environment or prefix + name
        if name != 'ENV_PREFIX' and key in environ:
            values[name] = environment.cast(key, environ[key], 'list') if name == 'QUEUES' else environ[key]
    return values


def _leaks(name: str, value: Any) -> bool:
    if isinstance(value, str) and (name in _BROKER_URLS or 'backend' in name.lower()):
        return False
    shown = filter_hidden_settings({name: value})[name]
    return bool(masked(shown) != shown)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _bad(name, value, 'text')
    return value


def _queues(name: str, value: Any) -> Sequence[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _bad(name, value, "a list of names, such as ['export', 'msg']")
    for item in value:
        _queue(name, item)
    return value


def _queue(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _QUEUE_NAME.fullmatch(value):
        raise _bad(name, value, "a name of letters, digits, '-' and '_', with '.fifo' at its end for a FIFO queue")
    return value


def _prefix(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _QUEUE_PREFIX.fullmatch(value):
        raise _bad(name, value, "letters, digits, '-' and '_'")
    return value


def _hostname(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        shown = masked(f'://{value}').removeprefix('://')
        raise _bad(name, shown, "a host name or address. For a socket, give result_backend with '?host=/directory'")
    return value


def _port(name: str, value: Any) -> Any:
    if not re.fullmatch(r'\d{1,5}', str(value)) or not 0 < int(value) < 2**16:
        raise _bad(name, value, 'a whole number from 1 to 65535')
    return value


def _retries(name: str, value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r'\d{1,9}', str(value)):
        raise _bad(name, value, 'a whole number of retries')
    return int(value)


def _flag(name: str, value: Any) -> bool:
    return value if isinstance(value, bool) else environment.cast(name, str(value), 'bool')


class _Variable(NamedTuple):
    default: Any
    parse: Callable[[str, Any], Any] = _text
    environment: str | None = None


_VARIABLES = {
    'QUEUES': _Variable(DEFAULT_QUEUES, _queues),
    'PLATFORM_QUEUE_NAME': _Variable(PLATFORM_QUEUE, _queue),
    'QUEUE_NAME_PREFIX': _Variable('dev', _prefix, 'QUEUE_PREFIX'),
    'RESULT_DB_USER': _Variable('cadasta', environment='RESULT_DB_USER'),
    'RESULT_DB_PASS': _Variable('cadasta', environment='RESULT_DB_PASS'),
    'RESULT_DB_HOST': _Variable('localhost', _hostname, 'RESULT_DB_HOST'),
    'RESULT_DB_PORT': _Variable('5432', _port, 'RESULT_DB_PORT'),
    'RESULT_DB_NAME': _Variable('cadasta', environment='RESULT_DB_NAME'),
    'CHORD_UNLOCK_MAX_RETRIES': _Variable(43200, _retries),
    'RUN_ONCE': _Variable(True, _flag),
    'ENV_PREFIX': _Variable('CELERY_'),
}

_SETTINGS = {
    'task_default_exchange': EXCHANGE,
    'task_default_exchange_type': 'topic',
    'task_create_missing_queues': False,
    'task_track_started': True,
    'result_backend': (
        'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@{0.RESULT_DB_HOST}:{0.RESULT_DB_PORT}/{0.RESULT_DB_NAME}'
    ),
    'result_expires': None,
    # A worker waits for as long as the database is away: Celery would drop the result after three tries. But whoever
    # only sends tasks must not wait for it, so the tables are left to whoever first stores a result.
    'database_create_tables_at_setup': False,
    # Celery's loader reads this one: our backend stands in for Celery's wherever results are in a database.
    'override_backends': dict.fromkeys(('db', 'database'), 'cadasta.workertoolbox.results.backend:Backend'),
    # What the role of a worker may not do would be tried for ever as well.
    'database_engine_callback': 'cadasta.workertoolbox.results:refuse_clearly',
    'result_backend_always_retry': True,
    'result_backend_max_retries': float('inf'),
}
