"""Answers as Amazon SQS does, each call after the same time: moto takes longer, and answers one call at a time.

It knows what kombu and the monitor ask of a FIFO queue: while a message of a group is in flight, it gives no other
message of that group to anybody. It checks no signature, waits for no message, and knows no attributes, duplicates and
errors.

Run as a program with the port as its argument; it prints `ready`. PUT `/delay` sets the seconds that a call takes. GET
`/calls` counts the calls, and `/most` those of an action that were under way at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from hashlib import md5
from heapq import heappop, heappush
from itertools import count
from typing import Any

CALLS_PATH, MOST_PATH, DELAY_PATH = '/calls', '/most', '/delay'

calls: Counter[str] = Counter()
under_way: Counter[str] = Counter()
most: Counter[str] = Counter()
delay = 0.0


@dataclass(eq=False)
class Message:
    body: str
    group: str
    sent: int = field(default_factory=lambda: int(1000 * time.time()))
    number: int = field(default_factory=count().__next__)
    digest: str = ''

    def __post_init__(self) -> None:
        self.digest = md5(self.body.encode(), usedforsecurity=False).hexdigest()


class Queue:
    """The messages of a queue, in groups. A standard queue has each message in a group of its own.

    It gives the oldest message first that it may give. Amazon promises this within a group only.
    """

    def __init__(self) -> None:
        self.groups: dict[str, deque[Message]] = defaultdict(deque)
        # A heap of the groups of which no message is in flight, by the numbers of their first messages.
        self.free: list[tuple[int, str]] = []
        self.flying: dict[str, tuple[Message, asyncio.TimerHandle]] = {}
        self.flying_of: Counter[str] = Counter()
        self.receipts = count()

    def put(self, message: Message) -> None:
        is_new = message.group not in self.groups
        self.groups[message.group].append(message)
        if is_new:
            self._free(message.group)

    def take(self, most: int, hidden: float) -> list[tuple[str, Message]]:
        taken: list[tuple[str, Message]] = []
        while self.free and len(taken) < most:
            _, group = heappop(self.free)
            for message in list(self.groups[group])[: most - len(taken)]:
                taken.append((self._fly(message, hidden), message))
        return taken

    def delete(self, receipt: str) -> None:
        if receipt in self.flying:
            message = self._land(receipt)
            self.groups[message.group].remove(message)
            self._free(message.group)

    def hide(self, receipt: str, hidden: float) -> None:
        if receipt in self.flying:
            message = self._land(receipt)
            if hidden:
                self._fly(message, hidden, receipt)
            else:
                self._free(message.group)

    @property
    def waiting(self) -> int:
        return sum(map(len, self.groups.values())) - len(self.flying)

    def _fly(self, message: Message, hidden: float, receipt: str = '') -> str:
        receipt = receipt or str(next(self.receipts))
        self.flying_of[message.group] += 1
        self.flying[receipt] = message, asyncio.get_running_loop().call_later(hidden, self.hide, receipt, 0)
        return receipt

    def _land(self, receipt: str) -> Message:
        message, timer = self.flying.pop(receipt)
        timer.cancel()
        self.flying_of[message.group] -= 1
        return message

    def _free(self, group: str) -> None:
        if not self.groups[group]:
            del self.groups[group], self.flying_of[group]
        elif not self.flying_of[group]:
            heappush(self.free, (self.groups[group][0].number, group))


queues: dict[str, Queue] = {}


def answer(action: str, call: dict[str, Any]) -> dict[str, Any]:
    name = call.get('QueueName') or call.get('QueueUrl', '').rpartition('/')[2]
    if 'Entries' in call:
        for entry in call['Entries']:
            change(action, queues[name], entry)
        return {'Successful': [{'Id': entry['Id']} for entry in call['Entries']]}
    match action:
        case 'ListQueues':
            found = [queue for queue in queues if queue.startswith(call.get('QueueNamePrefix', ''))]
            return {'QueueUrls': [url_of(queue) for queue in found]}
        case 'CreateQueue' | 'GetQueueUrl':
            queues.setdefault(name, Queue())
            return {'QueueUrl': url_of(name)}
        case 'GetQueueAttributes':
            return {'Attributes': {'ApproximateNumberOfMessages': str(queues[name].waiting)}}
        case 'ReceiveMessage':
            taken = queues[name].take(call['MaxNumberOfMessages'], call['VisibilityTimeout'])
            return {'Messages': [described(*one) for one in taken]} if taken else {}
    change(action, queues[name], call)
    return {'MessageId': 'any'}


def change(action: str, queue: Queue, entry: dict[str, Any]) -> None:
    match action:
        case 'SendMessage' | 'SendMessageBatch':
            queue.put(Message(entry['MessageBody'], entry.get('MessageGroupId') or str(uuid.uuid4())))
        case 'DeleteMessage' | 'DeleteMessageBatch':
            queue.delete(entry['ReceiptHandle'])
        case 'ChangeMessageVisibilityBatch':
            queue.hide(entry['ReceiptHandle'], entry['VisibilityTimeout'])
        case _:
            raise NotImplementedError(action)


def url_of(name: str) -> str:
    return f'http://127.0.0.1:{sys.argv[1]}/123456789012/{name}'


def described(receipt: str, message: Message) -> dict[str, Any]:
    return {
        'MessageId': receipt,
        'ReceiptHandle': receipt,
        'MD5OfBody': message.digest,
        'Body': message.body,
        'Attributes': {'SentTimestamp': str(message.sent)},
    }


def encoded(found: dict[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global delay
    while head := await read_head(reader):
        path, headers = head
        body = await reader.readexactly(int(headers.get('content-length', 0)))
        text = b''
        if path in (CALLS_PATH, MOST_PATH):
            text = encoded(calls if path == CALLS_PATH else most)
        elif path == DELAY_PATH:
            delay = float(body)
        else:
            action = headers['x-amz-target'].rpartition('.')[2]
            calls[action] += 1
            under_way[action] += 1
            most[action] = max(most[action], under_way[action])
            # Answers to calls that came at once go out at once, however large they are.
            text = encoded(answer(action, json.loads(body)))
            await asyncio.sleep(delay)
            under_way[action] -= 1
        date = time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())
        writer.write(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b'
            % (date.encode(), len(text), text)
        )
    writer.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        first, *lines = (await reader.readuntil(b'\r\n\r\n')).decode().rstrip().split('\r\n')
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    headers = dict(line.split(': ', 1) for line in lines if ': ' in line)
    return first.split()[1], {name.lower(): value for name, value in headers.items()}


async def main() -> None:
    server = await asyncio.start_server(serve, '127.0.0.1', int(sys.argv[1]), limit=2**22)
    print('ready', flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(main())
