"""Amazon SQS, as moto emulates it in a process of its own, or as a quick server does."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import urllib.request
from itertools import count
from pathlib import Path
from typing import Any

import boto3

from . import moto_server, quick_sqs_server
from .broker import Broker, Message, decoded
from .environment import clean_environment
from .process import Process, free_port

REGION = 'us-west-2'


class SQS:
    """An SQS endpoint on a free port of 127.0.0.1. Its queues are gone when it stops."""

    program = moto_server.__file__

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix='sqs-'))
        self.process: Process | None = None
        self.prefixes = count(1)
        self.client: Any = boto3.client(
            'sqs',
            endpoint_url=f'http://127.0.0.1:{self.port}',
            region_name=REGION,
            aws_access_key_id='key',
            aws_secret_access_key='secret',
        )

    def start(self) -> None:
        self.process = Process(
            [sys.executable, self.program, str(self.port)], self.directory / 'log', clean_environment()
        )
        self.process.wait_for('^ready$')

    def broker(self) -> Broker:
        """Queues with a prefix that nothing has used yet."""
        return SQSBroker(self, f'test{next(self.prefixes)}')

    def calls(self) -> dict[str, int]:
        """The number of API calls answered so far, by action."""
        return self._numbers(moto_server.CALLS_PATH)

    def throttle(self, action: str, queue: str) -> None:
        """Throttles an `action` for the `queue` with this full name."""
        self.fail(answer='throttled', action=action, prefix=queue)

    def fail(self, **rule: str) -> None:
        """Gives an `answer` to each call of an `action`, or of all, for queues whose full names begin with `prefix`.

        The answers are in `moto_server.FAULTS` and `PARTLY`. Without a rule, all is well.
        """
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.port}{moto_server.FAULT_PATH}', json.dumps(rule).encode(), method='PUT'
        )
        urllib.request.urlopen(request).close()

    def _numbers(self, path: str) -> dict[str, int]:
        with urllib.request.urlopen(f'http://127.0.0.1:{self.port}{path}') as answer:
            return json.load(answer)

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
        shutil.rmtree(self.directory)


class QuickSQS(SQS):
    """An endpoint that answers many calls at once, and as late as it is told to. See `quick_sqs_server`."""

    program = quick_sqs_server.__file__

    def delay(self, seconds: float) -> None:
        """Lets each call take some seconds more."""
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.port}{quick_sqs_server.DELAY_PATH}', str(seconds).encode(), method='PUT'
        )
        urllib.request.urlopen(request).close()

    def most_at_once(self) -> dict[str, int]:
        """The most calls that were under way at once, by action."""
        return self._numbers(quick_sqs_server.MOST_PATH)


class SQSBroker(Broker):
    """The queues of one prefix. SQS's own API reads them, ten messages at a time."""

    def __init__(self, server: SQS, prefix: str) -> None:
        # moto blocks on a long poll, and a test has no reason to wait.
        options = {
            'region': REGION,
            'queue_name_prefix': f'{prefix}-',
            'is_secure': False,
            'wait_time_seconds': 0,
            # Each poll costs moto and its client several milliseconds of the processor, for each queue.
            'polling_interval': 0.2,
        }
        super().__init__('sqs', 'sqs://key:secret@127.0.0.1:{port}', options, server.port, prefix)
        self.client = server.client

    def queues(self) -> dict[str, str]:
        """The URLs of the queues that exist, by their names without the prefix."""
        urls = self.client.list_queues(QueueNamePrefix=f'{self.prefix}-').get('QueueUrls', [])
        return {url.rpartition('/')[2].removeprefix(f'{self.prefix}-'): url for url in urls}

    def count(self, queue: str) -> int:
        url = self.queues().get(queue)
        if url is None:
            return 0
        attributes = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=['All'])['Attributes']
        return sum(int(value) for name, value in attributes.items() if name.startswith('ApproximateNumberOfMessages'))

    def drain(self, queue: str) -> list[Message]:
        return [decoded(message['Body']) for message in self.receive(queue)]

    def put(self, queue: str, bodies: list[str]) -> None:
        """Puts messages into a queue, as programs do that do not use kombu."""
        for body in bodies:
            self.client.send_message(QueueUrl=self.queues()[queue], MessageBody=body)

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Takes all messages from the queue, as SQS's API gives them, attributes included."""
        url = self.queues().get(queue)
        messages: list[dict[str, Any]] = []
        while url is not None:
            batch = self.client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=['All']
            ).get('Messages')
            if not batch:
                break
            messages += batch
            self.client.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {'Id': str(number), 'ReceiptHandle': message['ReceiptHandle']}
                    for number, message in enumerate(batch)
                ],
            )
        return messages
