"""Publish many tasks at once: `batch` collects what a block publishes, and sends it when the block ends."""

from .batches import batch
from .sending import NotAllSent

__all__ = ['NotAllSent', 'batch']
