"""One class that configures an app: it changes the defaults of Celery that the platform cannot use."""

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import apps
from . import signals as _connected  # noqa: F401  # its receivers serve every app that uses Config
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
from .topology import Topology

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
        found = _completed(given, os.environ)
        for hint in (*hints.of_settings(given), *hints.of_environment(os.environ, found['ENV_PREFIX'], given)):
            # The warning points at the line that makes the Config.
            warnings.warn(hint, stacklevel=2)
        topology = queues.topology_of(found, broker_options.kind_of_broker(found, os.environ))
        found['task_queues'] = topology.queues
        found['task_routes'] = topology.route
        url = found['result_backend'] = result_backend.rendered(found)
        # Celery reads this variable before any configuration, and renders no template in it.
        if isinstance(url, str) and os.environ.get('CELERY_RESULT_BACKEND', url) not in ('', url):
            warnings.warn(
                "Celery itself reads CELERY_RESULT_BACKEND from the environment, as it stands and before this Config's "
                f'result_backend, {masked(url)!r}. Unset it, or write that URL there.',
                stacklevel=2,
            )
        shown = hidden(found)
        shown['broker_transport_options'] = queues.findable(shown['broker_transport_options'], topology)
        vars(self).update(shown, _topology=topology)
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

    def __repr__(self) -> str:
        from pprint import pformat

        return f'{type(self).__name__}({pformat(self.to_dict())})'

    def __getitem__(self, name: str) -> Any:
        # Celery asks for some twenty settings when it sends a task, so this is as short as it can be.
        if name[:1] == '_':
            raise KeyError(name)
        return self.__dict__[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in vars(self) if not name.startswith('_'))

    def __len__(self) -> int:
        return sum(1 for _ in self)


_RESERVED = frozenset(dir(Config)) - {'override_backends'}


def _completed(given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    prefix = variables.prefix_of(given, environ)
    found = {
        **variables.defaults(),
        **defaults.SETTINGS,
        **environment.read(environ, prefix, given),
        **variables.read(environ, prefix, given),
        **given,
    }
    found.update(variables.parsed(found))
    found.update(broker_options.completed(found, environ))
    found['override_backends'] = {**defaults.BACKENDS, **found['override_backends']}
    return found
