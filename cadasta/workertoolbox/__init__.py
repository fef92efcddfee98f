"""Run Celery so that every task and every result is accounted for."""

__version__ = '1.0.0'

#: The work queues of an app whose `.Config` names none.
DEFAULT_QUEUES: tuple[str, ...] = ('msg', 'export')
