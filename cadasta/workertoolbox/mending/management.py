"""Ask RabbitMQ's management plugin what consumers hold. AMQP itself does not tell."""

import base64
import json
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ..errors import NotUsable
from ..settings.credentials import masked
from ..timeouts import SILENCE


class Management:
    """The HTTP API of RabbitMQ's management plugin.

    :param url: its URL, with the name and the password of a user who may read the queues.
    :param virtual_host: the virtual host of the queues.
    :raises NotUsable: where the URL is none.

    >>> Management('ftp://localhost', '/')
    Traceback (most recent call last):
    cadasta.workertoolbox.errors.NotUsable: 'ftp://localhost' is not the URL of RabbitMQ's management plugin: write it \
as in http://user:password@host:15672
    """

    def __init__(self, url: str, virtual_host: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise NotUsable(
                f"{masked(url)!r} is not the URL of RabbitMQ's management plugin: write it as in "
                'http://user:password@host:15672'
            )
        address = parts.netloc.rpartition('@')[2]
        self._url = f'{parts.scheme}://{address}{parts.path.rstrip("/")}/api/queues/{quote(virtual_host, safe="")}'
        user = f'{unquote(parts.username or "guest")}:{unquote(parts.password or "guest")}'
        self._headers = {'Authorization': f'Basic {base64.b64encode(user.encode()).decode()}'}

    def messages(self, queue: str) -> int | None:
        """Count the messages of a queue: those that wait, and those that consumers hold.

        :param queue: the name of the queue.
        :returns: `None` where RabbitMQ has not counted them yet.
        :raises NotUsable: where the plugin does not answer.
        """
        request = urllib.request.Request(f'{self._url}/{quote(queue, safe="")}', headers=self._headers)  # noqa: S310  # operators name it
        try:
            # The constructor has checked the scheme of the URL.
            with urllib.request.urlopen(request, timeout=SILENCE) as answer:  # noqa: S310  # operators name it
                found: dict[str, Any] = json.load(answer)
        except (OSError, ValueError) as error:
            raise NotUsable(f"RabbitMQ's management plugin at {self._url} does not answer: {error}") from error
        if 'messages_unacknowledged' not in found:
            return None
        return int(found['messages_ready']) + int(found['messages_unacknowledged'])
