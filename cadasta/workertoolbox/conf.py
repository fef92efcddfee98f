"""One class that configures an app: it changes the defaults of Celery that the platform cannot use."""

import os
import pickle
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

from . import apps
from . import signals as _connected  # noqa: F401  # its receivers serve every app that uses Config
from .errors import SettingError
from .settings import (
    attributes,
    broker_options,
    defaults,
    environment,
    hints,
    names,
    queues,
    result_backend,
    variables,
)
from .settings.credentials import hidden, masked
from .settings.elsewhere import Elsewhere
from .topology import Topology
from .transports.connection import use_connections

if TYPE_CHECKING:
    from typing import Unpack

    from .settings.typed import Base, Keywords
else:
    from .settings.made import Made as Base


class Config(Base):
    """The configuration of an app whose every task and result is accounted for.

    A setting comes from the first of these that has it: keyword, attribute of a subclass, environment, default. You can
    give any setting of Celery, in lower case. Names in upper case are variables. You can read all of them as
    attributes, and from the app as ``app.conf.NAME``. The manual has a table of them.

    A `Config` is a mapping of all settings and variables, credentials included, and it cannot be changed. The ``repr``
    of a credential is asterisks. The ``repr`` of a URL hides its user and its password. So ``repr(dict(config))`` and a
    log with ``%r`` show no credentials. ``str()`` and ``%s`` show them.

    A type checker knows the settings and the variables that this class has. It accepts a variable of your own as an
    attribute of a subclass, or in a `dict` of keywords: ``Config(**variables)``.

    :param QUEUES: the names of the work queues. A task goes to the queue named like the part of the task's name
        before the first dot.
    :param settings: settings and variables. ``QUEUE_PREFIX`` is another spelling of ``QUEUE_NAME_PREFIX``.
    :raises SettingError: where a setting cannot be used; it names the setting, the value and what is allowed.

    >>> from celery import Celery
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export', 'msg'], task_time_limit=60))
    >>> app.conf.task_default_exchange, app.conf.task_time_limit, app.conf.QUEUE_NAME_PREFIX
    ('task_exchange', 60, 'dev')
    """

    def __init__(
        self,
        QUEUES: list[str] | tuple[str, ...] | None = None,  # noqa: N803  # a variable
        **settings: 'Unpack[Keywords]',
    ) -> None:
        keywords: dict[str, Any] = {**settings} if QUEUES is None else {**settings, 'QUEUES': QUEUES}
        given = {**attributes.settings_of(type(self), Config), **names.renamed(keywords)}
        names.check(given, _RESERVED)
        merged = _merged(given, os.environ)
        for hint in (*hints.of_settings(given), *hints.of_environment(os.environ, merged['ENV_PREFIX'], given)):
            # The warning points at the line that makes the Config.
            warnings.warn(hint, stacklevel=2)
        of_broker, topology = _of_broker(merged)
        found = {**merged, **of_broker}
        url = found['result_backend'] = result_backend.rendered(found)
        # Celery reads this variable before any configuration, and renders no template in it.
        if isinstance(url, str) and os.environ.get('CELERY_RESULT_BACKEND', url) not in ('', url):
            warnings.warn(
                "Celery itself reads CELERY_RESULT_BACKEND from the environment, as it stands and before this Config's "
                f'result_backend, {masked(url)!r}. Unset it, or write that URL there.',
                stacklevel=2,
            )
        # The options have been hidden, and may have found more queues since.
        options = {'broker_transport_options': of_broker['broker_transport_options']}
        vars(self).update({**hidden(found), **options}, _topology=topology, _merged=hidden(merged))
        apps.choose_default()

    @property
    def topology(self) -> Topology:
        """The exchange, queues and router of this configuration."""
        topology: Topology = vars(self)['_topology']
        return topology

    def to_dict(self) -> dict[str, Any]:
        """Copy the settings of Celery, in lower case, without the variables.

        :returns: the settings with their values, credentials included.

        >>> Config(QUEUES=['export']).to_dict()['task_track_started']
        True
        """
        return {name: value for name, value in self.items() if name == name.lower()}

    def __copy__(self) -> 'Config':
        return _remade(type(self), vars(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> 'Config':
        return _remade(type(self), deepcopy(vars(self), memo))

    def __reduce__(self) -> Any:
        for name, value in self.items():
            try:
                pickle.dumps(value)
            except Exception as error:
                raise SettingError(
                    f'{name} cannot be pickled ({error}). A worker with --pool-start-method spawn hands its Config to '
                    'its children. Define what the setting needs at the top of a module, or give its name as text if '
                    'Celery takes that.'
                ) from error
        # A class that a function made cannot be found by its name. All its settings are in the instance.
        cls = next(cls for cls in type(self).__mro__ if '<locals>' not in cls.__qualname__)
        return _remade, (cls, vars(self))

    def __repr__(self) -> str:
        from pprint import pformat

        return f'{type(self).__name__}({pformat(self.to_dict())})'

    def get(self, name: str, default: Any = None) -> Any:
        """Look up a setting; see `Mapping.get`."""
        if name == 'override_backends':
            # Celery's loader looks this up, and nothing else in this way, when it is about to configure its app.
            for app in apps.being_configured(self):
                app.on_after_configure.connect(_see_broker)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        # Celery asks for some twenty settings when it sends a task, so this is as short as it can be.
        if name[:1] == '_':
            raise KeyError(name)
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in vars(self) if not name.startswith('_'))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _remade(cls: type[Config], values: Mapping[str, Any]) -> Config:
    config = cls.__new__(cls)
    vars(config).update(values)
    return config


_RESERVED = frozenset(dir(Config)) - {'override_backends'}


def _merged(given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Take each setting from the first place that has it."""
    prefix = variables.prefix_of(given, environ)
    found = {
        **variables.defaults(),
        **defaults.SETTINGS,
        **environment.read(environ, prefix, given),
        **variables.read(environ, prefix, given),
        **given,
    }
    found.update(variables.parsed(found))
    found['override_backends'] = {**defaults.BACKENDS, **found['override_backends']}
    if isinstance(found.get('task_queues'), Iterator):
        # They are read again for each broker that an app names.
        found['task_queues'] = list(found['task_queues'])
    return found


def _of_broker(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Topology]:
    """Make the settings that depend on the broker."""
    found = hidden(broker_options.completed(settings, os.environ))
    known = {**settings, **found}
    topology = queues.topology_of(known, broker_options.kind_of_broker(known, os.environ))
    options = queues.findable(found['broker_transport_options'], topology)
    made = {'broker_transport_options': options, 'task_queues': topology.queues, 'task_routes': topology.route}
    return {**found, **made}, topology


def _see_broker(sender: Any, source: Any, **kwargs: Any) -> None:
    """Let an app that has read its `Config` name its broker itself, and give it connections that last."""
    config = sender.loader.conf
    if isinstance(config, Config):
        source.add_defaults(Elsewhere(config, partial(_at_broker, vars(config)['_merged']), source))
        use_connections(sender)


def _at_broker(settings: Mapping[str, Any], urls: Mapping[str, Any]) -> dict[str, Any]:
    # The transport is that of the URL, unless the Config was given another.
    named = {'broker_transport': None, **settings, **urls}
    return {'broker_transport': named['broker_transport'], **_of_broker(named)[0]}
