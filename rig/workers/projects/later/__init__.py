"""A service whose tasks are held for longer than brokers like it."""

from .celery import app as app
