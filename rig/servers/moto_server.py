"""Serves moto's SQS over connections that stay open, as Amazon does, counts API calls, and fails on demand.

Run as a program with the port as its argument; it prints `ready`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sqs import models
from werkzeug.test import EnvironBuilder, run_wsgi_app

CALLS_PATH = '/calls'
#: PUT `{"answer": ..., "prefix": ..., "action": ...}` here to give this answer to each call of this action for a queue
#: whose name begins so, and `{}` to end that. Without an action, it is given to all actions. See `FAULTS`.
FAULT_PATH = '/fault'

#: Answers that Amazon, or what is between Amazon and its clients, may give: by name, the status and the body.
ANSWERS: dict[str, tuple[int, str]] = {
    'throttled': (400, '{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Too many requests"}'),
    'forbidden': (403, '{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not allowed"}'),
    'AccessDenied': (400, '{"__type": "com.amazonaws.sqs#AccessDenied", "message": "not allowed"}'),
    'unavailable': (503, '<html>503 Service Unavailable</html>'),
    'internal': (500, '{"__type": "com.amazonaws.sqs#InternalFailure", "message": "try again"}'),
    'html': (200, '<html>Sign in to the network</html>'),
    'empty': (200, ''),
    'list': (200, '[42]'),
    'nothing': (200, '{}'),
    'half': (200, '{"Messages": [{"MessageId": "1"}], "Attributes": {"ApproximateNumberOfMessages": "many"}}'),
    'odd': (200, '{"Messages": [{"Body": 4, "ReceiptHandle": "x"}], "Attributes": {"VisibilityTimeout": [1]}}'),
    'wrong': (200, '{"Messages": "none", "Attributes": "none", "MessageId": 1, "QueueUrl": {}, "QueueUrls": 2}'),
    'moved': (301, ''),
}
#: The connection is closed without an answer, in the middle of one, and after its headers.
HANG_UP, CUT, BEHEADED = 'hang up', 'cut', 'beheaded'
FAULTS = (*ANSWERS, HANG_UP, CUT, BEHEADED)
#: Answers to a call for several messages of which Amazon takes all but the last: by name, what it says of that one. A
#: message that is alone is taken.
PARTLY: dict[str, dict[str, Any]] = {
    'last is busy': {'SenderFault': False, 'Code': 'InternalError', 'Message': 'try again later'},
    'last is refused': {'SenderFault': True, 'Code': 'InvalidMessageContents', 'Message': 'not this one'},
}

moto = DomainDispatcherApplication(create_backend_app)
# moto hands one message to two receivers that ask at the same moment.
lock = threading.Lock()
calls: Counter[str] = Counter()
# The fault at present: `answer`, `prefix` and `action`.
fault: dict[str, str] = {}
# For every call, moto counts the messages of a queue several times, and reads the clock twice for each message. With a
# thousand messages in a FIFO queue, every call takes a second. So moto counts them here only if a client asks for their
# number.
ATTRIBUTES = models.Queue.BASE_ATTRIBUTES
FIXED_ATTRIBUTES = [name for name in ATTRIBUTES if not name.startswith('ApproximateNumberOfMessages')]
models.unix_time_millis = lambda: time.time() * 1000


class Handler(BaseHTTPRequestHandler):
    # moto's own server closes each connection and takes ten milliseconds for it.
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers['Content-Length']))
        # `AmazonSQS.SendMessage`
        action = self.headers['X-Amz-Target'].rpartition('.')[2]
        failed: list[dict[str, Any]] = []
        if is_faulty(action, json.loads(body)):
            if fault['answer'] not in PARTLY:
                calls[f'{fault["answer"]} {action}'] += 1
                self.fail(fault['answer'])
                return
            body, failed = without_last(json.loads(body), PARTLY[fault['answer']])
        environ = EnvironBuilder(
            path=self.path,
            base_url=f'http://{self.headers["Host"]}',
            method='POST',
            headers=list(self.headers.items()),
            data=body,
        ).get_environ()
        with lock:
            calls[action] += 1
            models.Queue.BASE_ATTRIBUTES = ATTRIBUTES if action == 'GetQueueAttributes' else FIXED_ATTRIBUTES
            chunks, status, headers = run_wsgi_app(moto, environ, buffered=True)
            answer = b''.join(chunks)
            if failed:
                answer = json.dumps({**json.loads(answer), 'Failed': failed}).encode()
            self.answer(int(status.split()[0]), answer, dict(headers))

    def do_GET(self) -> None:
        if self.path == CALLS_PATH:
            self.answer(200, json.dumps(calls).encode(), {})
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        fault.clear()
        fault.update(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
        self.answer(200, b'', {})

    def fail(self, name: str) -> None:
        if name in ANSWERS:
            status, body = ANSWERS[name]
            self.answer(status, body.encode(), {'Content-Type': 'application/x-amz-json-1.0'})
            return
        if name != HANG_UP:
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
        if name == CUT:
            self.wfile.write(b'{"Messages": [')
        self.close_connection = True

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def without_last(parameters: dict[str, Any], reason: dict[str, Any]) -> tuple[bytes, list[dict[str, Any]]]:
    """The call without its last message, and what to say of that."""
    *entries, last = parameters['Entries']
    if not entries:
        return json.dumps(parameters).encode(), []
    return json.dumps({**parameters, 'Entries': entries}).encode(), [{'Id': last['Id'], **reason}]


def is_faulty(action: str, parameters: dict[str, Any]) -> bool:
    # `QueueUrl` ends with the name of the queue.
    queue = parameters.get('QueueUrl') or parameters.get('QueueName') or parameters.get('QueueNamePrefix') or ''
    named = queue.rpartition('/')[2].startswith(fault.get('prefix', ''))
    return bool(fault) and named and fault.get('action', action) == action


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == '__main__':
    with Server(('127.0.0.1', int(sys.argv[1])), Handler) as server:
        print('ready', flush=True)
        server.serve_forever()
