"""A service that has both queues to itself, so its workers need no `-Q`."""

from .celery import app as app
