"""kombu: the messages of virtual transports, whose brokers keep headers and properties in the body."""

import json
from collections.abc import Callable
from typing import Any

from kombu.transport import virtual


def mend_messages(channel: Any, mend: Callable[[Any], Any], complain: Callable[[Exception], None]) -> None:
    """Let a channel mend what it has from its broker, before it makes a message of it.

    It replaces the class ``channel.Message``, in Amazon SQS the method ``channel._prepare_json_payload``, and in Redis
    the function that ``channel.handlers`` has for an answer to ``BRPOP``. Each of them raises an error that ends a
    worker where a message is not what kombu writes. Channels of other transports are left alone.

    :param channel: the channel that a worker consumes with.
    :param mend: gets what the broker has, as kombu has decoded it, and gives what kombu can read.
    :param complain: gets the error where the broker has no JSON, or a body that cannot be decoded.
    """
    if not isinstance(channel, virtual.Channel):
        return

    class Mended(channel.Message):  # each transport has its own
        def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
            mended = mend(payload)
            try:
                super().__init__(mended, channel=channel, **options)
            except Exception as error:
                complain(error)
                super().__init__({**mended, 'body': None}, channel=channel, **options)

    channel.Message = Mended
    decode = getattr(channel, '_prepare_json_payload', None)
    if decode is not None:
        channel._prepare_json_payload = lambda text: _mended_if_kombus(decode(text), mend)
    handlers = getattr(channel, 'handlers', None)
    if handlers is not None:
        handlers['BRPOP'] = _tolerant(handlers['BRPOP'], complain)


def _mended_if_kombus(payload: Any, mend: Callable[[Any], Any]) -> Any:
    # kombu takes a message without properties for one of another program, and makes them.
    return mend(payload) if 'properties' in payload else payload


def _tolerant(read: Callable[..., Any], complain: Callable[[Exception], None]) -> Callable[..., Any]:
    def read_or_complain(**options: Any) -> Any:
        try:
            return read(**options)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            complain(error)
            return True

    return read_or_complain
