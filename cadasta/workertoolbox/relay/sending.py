"""Publish the messages of rows, and tell those that the broker can never take from a broker that is away."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from celery import Celery
from kombu.exceptions import EncodeError

from ..publishing.collecting import Message
from ..publishing.sending import deliver
from ..settings.credentials import masked
from ..timeouts import connect_once
from ..transports.amqp import NotConfirmed
from ..transports.receipt import Busy, Refused
from .parcels import NeverPublished, message_of

#: A message with which the broker breaks off is given up after this many attempts. With the first of them, the broker
#: has taken another message afterwards, and with the others it can be reached.
STRIKES = 3
_BROKE_OFF = f'{STRIKES} times, the broker broke off with this message and not with others'
# The broker is taken for away where so many messages fail, one after the other.
_IN_A_ROW = 5
# RabbitMQ says it of a message, and the same code of a queue that is declared otherwise.
_TOO_LARGE = 'message size'
# Amazon SQS says these of the one message of a call.
_SQS_REFUSALS = ('InvalidMessageContents', 'InvalidParameterValue', 'BatchRequestTooLong', 'InvalidAttributeValue')
# Python raises all but the first where a message cannot be written down.
_REFUSALS = (Refused, EncodeError, TypeError, UnicodeError, struct.error)


class Outcome(NamedTuple):
    """The fate of messages that were to be published.

    :param published: the numbers of the rows that were published.
    :param refused: the reasons, by the numbers of the rows that can never be published.
    :param error: what keeps the others from being published, if there are any.
    """

    published: list[int]
    refused: Mapping[int, str]
    error: Exception | None


class Sender:
    """Publishes the messages of rows by the way of an app.

    :param app: an app that is configured by a `cadasta.workertoolbox.Config`.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        with app.connection_for_write() as connection:
            # The broker has answered where these are raised, and something else is wrong than the message.
            self._answers = (Busy, NotConfirmed, *connection.channel_errors)
        self._topology = app.loader.conf.topology
        # After an error, messages are published one by one, until that goes well.
        self._is_careful = False
        self._strikes: dict[int, int] = {}

    def send(self, rows: Sequence[Any]) -> Outcome:
        """Publish the messages of rows, in their order.

        :param rows: the rows.
        """
        refused: dict[int, str] = {}
        numbers: dict[int, Message] = {}
        for row in rows:
            try:
                numbers[row.id] = message_of(row, self._topology)
            except NeverPublished as error:
                refused[row.id] = str(error)
        if self._is_careful:
            return self._send_one_by_one(numbers, refused)
        left = list(numbers.values())
        try:
            deliver(self._app, left)
        except Exception as error:
            self._is_careful = True
            unsent = {id(message) for message in left}
            published = [number for number, message in numbers.items() if id(message) not in unsent]
            return Outcome(published, refused, error)
        return Outcome(list(numbers), refused, None)

    def _send_one_by_one(self, messages: Mapping[int, Message], refused: dict[int, str]) -> Outcome:
        published: list[int] = []
        failed: dict[int, Exception] = {}
        # Those that failed before the last message that was published.
        suspects: list[int] = []
        in_a_row = 0
        for number, message in messages.items():
            try:
                deliver(self._app, [message])
            except Exception as error:
                # kombu wraps what it takes for an error of the connection.
                raised = error.__cause__ if isinstance(error.__cause__, Exception) else error
                if is_refusal(raised):
                    refused[number] = _reason(raised)
                    continue
                failed[number] = raised
                in_a_row += 1
                if in_a_row == _IN_A_ROW:
                    break
            else:
                published.append(number)
                suspects = list(failed)
                in_a_row = 0
        if any(number in self._strikes for number in failed) and self._is_reachable():
            suspects += [number for number in failed if number in self._strikes and number not in suspects]
        for number in suspects:
            if self._is_given_up(number, failed[number]):
                refused[number] = f'{_BROKE_OFF}: {_reason(failed[number])}'
                del failed[number]
        self._is_careful = bool(failed)
        self._strikes = {number: count for number, count in self._strikes.items() if number in failed}
        return Outcome(published, refused, next(iter(failed.values()), None))

    def _is_reachable(self) -> bool:
        with self._app.connection_for_write() as connection:
            try:
                connect_once(connection)
            except Exception:
                return False
        return True

    def _is_given_up(self, number: int, error: Exception) -> bool:
        if isinstance(error, self._answers) or _answer(error):
            return False
        self._strikes[number] = self._strikes.get(number, 0) + 1
        return self._strikes[number] == STRIKES


def is_refusal(error: Exception) -> bool:
    """Tell whether a broker can never take the one message that was sent to it.

    :param error: what the client of the broker has raised.
    """
    if isinstance(error, _REFUSALS) or _TOO_LARGE in str(error):
        return True
    return _answer(error).endswith(_SQS_REFUSALS)


def _answer(error: Exception) -> str:
    """Give the code of an answer of Amazon's. An error of boto3 has it as an attribute."""
    response = getattr(error, 'response', None)
    return str(response.get('Error', {}).get('Code', '')) if isinstance(response, dict) else ''


def _reason(error: Exception) -> str:
    return str(masked(str(error))).strip() or type(error).__name__
