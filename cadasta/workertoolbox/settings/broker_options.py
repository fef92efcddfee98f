"""The broker that an app uses, and the options of its transport."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..timeouts import broker_options
from . import urls
from .defaults import AMQP_OPTIONS, TRANSPORT_OPTIONS
from .parsers import bad

#: The settings that have the URL of a broker.
URLS = ('broker_url', 'broker_read_url', 'broker_write_url')

#: The settings by which `completed` decides.
INPUTS = (*URLS, 'broker_transport', 'broker_transport_options', 'QUEUE_NAME_PREFIX')

_AMQP = ('amqp', 'amqps', 'pyamqp')


def completed(settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Complete the settings of the broker. The broker is Amazon SQS where no setting names another.

    :param settings: the settings and variables.
    :param environ: the environment, such as ``os.environ``.
    :returns: the settings to set, such as the options of the transport.
    :raises SettingError: where a URL cannot be read, or the options are no dict.

    >>> completed({'QUEUE_NAME_PREFIX': 'dev'}, {})['broker_transport_options']
    {'region': 'us-west-2', 'queue_name_prefix': 'dev-', 'visibility_timeout': 300}
    """
    for setting in URLS:
        urls.check(setting, settings.get(setting))
        urls.check(setting, environ.get(f'CELERY_{setting.upper()}'))
    given = settings.get('broker_transport_options') or {}
    if not isinstance(given, Mapping):
        raise bad('broker_transport_options', given, 'a dict')
    is_named = 'broker_transport' in settings or any(_urls(settings, environ))
    name = transport(settings, environ)
    options = {
        **TRANSPORT_OPTIONS,
        'queue_name_prefix': f'{settings["QUEUE_NAME_PREFIX"]}-',
        **(AMQP_OPTIONS if name in _AMQP else {}),
        **broker_options(name, given),
    }
    return {**({} if is_named else {'broker_transport': 'sqs'}), 'broker_transport_options': options}


def transport(settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Tell the transport to which an app publishes.

    :param settings: the settings.
    :param environ: the environment, such as ``os.environ``.

    >>> transport({'broker_url': 'redis://localhost', 'broker_write_url': 'amqp://localhost'}, {}), transport({}, {})
    ('amqp', 'sqs')
    """
    broker_url, read_url, write_url = _urls(settings, environ)
    is_elsewhere = broker_url or read_url or write_url
    name = settings.get('broker_transport', None if is_elsewhere else 'sqs')
    url = write_url or broker_url
    if isinstance(url, (list, tuple)):
        url = url[0] if url else None
    if isinstance(url, str) and '://' in url:
        name = url.partition('://')[0]
    return str(name or 'amqp').lower()


def _urls(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Any]:
    # Celery itself reads these variables, and prefers them to the settings.
    return (environ.get(f'CELERY_{name.upper()}') or settings.get(name) for name in URLS)
