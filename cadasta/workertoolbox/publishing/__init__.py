"""Publish many tasks at once by `batch`, or with a transaction of your database by `outbox`."""

from .batches import batch
from .outboxes import outbox
from .sending import NotAllSent

__all__ = ['NotAllSent', 'batch', 'outbox']
