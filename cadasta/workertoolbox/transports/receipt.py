"""Tell the sender of many messages which of them the broker has taken, and why it has not taken others."""

from kombu.exceptions import OperationalError


class Receipt:
    """A note of a message that was published in a batch of kombu's."""

    #: Whether the broker has taken the message.
    is_sent = False


class Refused(OperationalError):  # noqa: N818  # as the other errors of a broker
    """The broker does not take these messages, and never will."""


class Busy(OperationalError):  # noqa: N818  # as the other errors of a broker
    """The broker does not take these messages for now."""
