"""The same architecture in plain Celery settings, as one would write them first."""

from .celery import app as app
