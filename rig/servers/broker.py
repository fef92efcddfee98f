"""The interface of every broker to the tests."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kombu import Connection
from kombu.exceptions import ChannelError

from .process import PATIENCE
from .proxy import Proxy

PLATFORM_QUEUE = 'platform.fifo'


class Key(NamedTuple):
    """The key that tells a message from every other: a retry has the id of its first try."""

    task: str
    id: str
    retries: int


@dataclass(frozen=True)
class Message:
    """A message as the queue held it."""

    headers: dict[str, Any]
    properties: dict[str, Any]
    body: Any

    @property
    def key(self) -> Key:
        return Key(self.headers['task'], self.headers['id'], self.headers['retries'])


class Restartable(Protocol):
    """A server that comes back with the messages that it had."""

    def start(self) -> None:
        """Starts it, and waits until it is ready."""

    def stop(self) -> None:
        """Closes every connection and stops."""

    def kill(self) -> None:
        """Kills it, as if it had crashed."""


class Broker:
    """A broker, or a part of one, that nothing else uses.

    :param name: kombu's name of the transport
    :param url: the `broker_url`, in which `{port}` stands for the server's port
    :param options: the `broker_transport_options`
    :param port: the server's port, `None` where there is no server
    :param prefix: `QUEUE_PREFIX`, for brokers whose queues carry one
    :param server: the server, if it can be restarted and keeps its messages
    """

    def __init__(
        self,
        name: str,
        url: str,
        options: dict[str, Any],
        port: int | None = None,
        prefix: str = 'test',
        server: Restartable | None = None,
    ) -> None:
        self.name = name
        self.options = options
        self.prefix = prefix
        self._url = url
        self._port = port
        self._server = server
        self._proxy: Proxy | None = None

    def __repr__(self) -> str:
        return f'<Broker {self.name}>'

    @property
    def url(self) -> str:
        return self._url.format(port=self._port)

    @property
    def proxied_url(self) -> str:
        """The URL of the broker by a way that `cut` cuts; the broker's own URL where it has no server."""
        if self._port is None:
            return self.url
        if self._proxy is None:
            self._proxy = Proxy(self._port)
        return self._url.format(port=self._proxy.port)

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments for `Config`."""
        return {'broker_url': self.url, 'broker_transport_options': self.options, 'QUEUE_PREFIX': self.prefix}

    @property
    def environment(self) -> dict[str, str]:
        """The same settings as variables, for a process whose code does not name its broker."""
        return self._environment(self.url)

    @property
    def proxied_environment(self) -> dict[str, str]:
        """Variables for a process whose connections `cut` cuts."""
        return self._environment(self.proxied_url)

    def mute(self) -> None:
        """Swallows all data on the connections that came by `proxied_url` and are open now."""
        if self._proxy:
            self._proxy.mute()

    def wait_until_swallowed(self) -> None:
        """Waits until a process has sent data over the muted connections."""
        assert self._proxy is not None
        assert self._proxy.swallowed.wait(PATIENCE)

    def cut(self) -> int:
        """Drops the open connections that came by `proxied_url`, and returns their number."""
        return self._proxy.cut() if self._proxy else 0

    def refuse(self) -> None:
        """Drops the connections that came by `proxied_url`, and refuses others until `listen` is called."""
        assert self._proxy is not None
        self._proxy.refuse()

    def listen(self) -> None:
        """Accepts connections by `proxied_url` again."""
        assert self._proxy is not None
        self._proxy.listen()

    def restart(self, seconds: float, crash: bool) -> None:
        """Stops the server, or kills it, and starts it again after some seconds."""
        assert self._server is not None
        if crash:
            self._server.kill()
        else:
            self._server.stop()
        time.sleep(seconds)
        self._server.start()

    def connect(self) -> Connection:
        """A kombu connection that has declared nothing."""
        return Connection(self.url, transport_options=self.options)

    def count(self, queue: str) -> int:
        """The number of messages in the queue; 0 where there is no such queue."""
        with self.connect() as connection:
            try:
                return connection.default_channel.queue_declare(queue, passive=True).message_count
            except (ChannelError, *connection.channel_errors):
                return 0

    def put(self, queue: str, bodies: list[str]) -> None:
        """Puts messages into a queue, as programs do that do not use kombu."""
        raise NotImplementedError

    def drain(self, queue: str) -> list[Message]:
        """Takes all messages from the queue."""
        messages = []
        with self.connect() as connection:
            channel = connection.default_channel
            try:
                while raw := channel.basic_get(queue, no_ack=True):
                    # The amqp transport gives messages of its own type, and virtual transports give kombu's.
                    message = raw if hasattr(raw, 'payload') else channel.message_to_python(raw)
                    messages.append(Message(message.headers, message.properties, message.payload))
            except (ChannelError, *connection.channel_errors):
                pass
        return messages

    def close(self) -> None:
        if self._proxy:
            self._proxy.close()

    def _environment(self, url: str) -> dict[str, str]:
        return {
            'CELERY_BROKER_URL': url,
            'CELERY_BROKER_TRANSPORT_OPTIONS': json.dumps(self.options),
            'QUEUE_PREFIX': self.prefix,
        }


def decoded(body: str) -> Message:
    """Make a message from the JSON that virtual transports write, in base64 or not."""
    text = body if body.startswith('{') else base64.b64decode(body)
    message = json.loads(text)
    return Message(message['headers'], message['properties'], json.loads(base64.b64decode(message['body'])))
