"""The same architecture in plain Celery settings, as a beginner would write them."""

from .celery import app as app
