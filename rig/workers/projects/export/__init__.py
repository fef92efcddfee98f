"""A service that has tasks of its own and schedules some of another service."""

from .celery import app as app
