"""Tell the kind of a broker, however its transport is named."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, get_transport_cls

from .parsers import bad

_KINDS = {
    **dict.fromkeys(('amqp', 'amqps', 'pyamqp'), 'amqp'),
    **dict.fromkeys(('redis', 'rediss', 'sentinel'), 'redis'),
}


def kind_of(transport: Any) -> str:
    """Tell the kind of broker that a transport is for.

    A transport of kombu is known by its name and by its path. Its module is not imported, because it may import the
    client library of a broker. Any other class is asked, and imported if it is given by its path.

    :param transport: the name of a transport, the path of its class, or the class.
    :returns: ``'amqp'``, ``'redis'``, ``'sqs'`` or the like.
    :raises SettingError: where the class cannot be imported.

    >>> kind_of('SQS'), kind_of('kombu.transport.SQS:Transport'), kind_of('rediss')
    ('sqs', 'sqs', 'redis')
    """
    if isinstance(transport, str):
        name = _NAMES.get(_dotted(transport), transport.lower())
        if '.' not in name and ':' not in name:
            return kind_of_scheme(name)
        try:
            transport = get_transport_cls(transport)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise bad('broker_transport', transport, f'the name of a transport, or a class ({error})') from error
    return str(getattr(transport, 'driver_type', ''))


def kind_of_scheme(scheme: str) -> str:
    """Tell the kind of broker that the scheme of a URL is for. A URL never decides that a module is imported.

    >>> kind_of_scheme('amqps'), kind_of_scheme('filesystem')
    ('amqp', 'filesystem')
    """
    name = scheme.lower()
    return _KINDS.get(name, name)


def _dotted(path: str) -> str:
    return path.replace(':', '.')


_NAMES = {_dotted(path): name.lower() for name, path in TRANSPORT_ALIASES.items()}
