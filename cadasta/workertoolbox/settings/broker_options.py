"""The broker that an app uses, and the options of its transport."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..timeouts import broker_options
from . import urls
from .defaults import AMQP_OPTIONS, TRANSPORT_OPTIONS
from .parsers import bad
from .transports import kind_of, kind_of_scheme

#: The settings that have the URL of a broker.
URLS = ('broker_url', 'broker_read_url', 'broker_write_url')


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
    kind = kind_of_broker(settings, environ)
    options = {
        **TRANSPORT_OPTIONS,
        'queue_name_prefix': f'{settings["QUEUE_NAME_PREFIX"]}-',
        **(AMQP_OPTIONS if kind == 'amqp' else {}),
        **broker_options(kind, given),
    }
    return {**({} if is_named else {'broker_transport': 'sqs'}), 'broker_transport_options': options}


def kind_of_broker(settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Tell the kind of broker to which an app publishes.

    :param settings: the settings.
    :param environ: the environment, such as ``os.environ``.
    :raises SettingError: where ``broker_transport`` is a class that cannot be imported.

    >>> kind_of_broker({'broker_url': 'redis://localhost', 'broker_write_url': 'amqps://localhost'}, {})
    'amqp'
    >>> kind_of_broker({'broker_url': 'https://sqs.eu-west-1.amazonaws.com', 'broker_transport': 'sqs'}, {})
    'sqs'
    >>> kind_of_broker({}, {})
    'sqs'
    """
    broker_url, read_url, write_url = _urls(settings, environ)
    is_elsewhere = broker_url or read_url or write_url
    url = write_url or broker_url
    if isinstance(url, (list, tuple)):
        url = url[0] if url else None
    # kombu prefers the transport to the scheme of the URL, unless the scheme has two parts, as in `sqla+mysql://`.
    scheme, separator, _ = url.partition('://') if isinstance(url, str) else ('', '', '')
    prefix, plus, _ = scheme.partition('+')
    if separator and plus:
        return kind_of_scheme(prefix)
    transport = settings.get('broker_transport', None if is_elsewhere else 'sqs')
    return kind_of(transport) if transport else kind_of_scheme(scheme if separator else 'amqp')


def _urls(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Any]:
    # Celery itself reads these variables, and prefers them to the settings.
    return (environ.get(f'CELERY_{name.upper()}') or settings.get(name) for name in URLS)
