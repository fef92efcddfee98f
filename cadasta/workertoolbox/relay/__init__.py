"""The relay: it publishes the tasks of an outbox that were committed."""

from .loop import Relay

__all__ = ['Relay']
