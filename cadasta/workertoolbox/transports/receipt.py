"""Tell the sender of many messages which of them the broker has taken."""


class Receipt:
    """A note of a message that was published in a batch of kombu's."""

    #: Whether the broker has taken the message.
    is_sent = False
