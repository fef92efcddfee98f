"""A service whose workers hold tasks for longer than the visibility timeout of the broker."""

from .celery import app as app
