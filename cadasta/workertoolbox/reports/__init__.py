"""A worker reports to the platform that it is there, what it consumes, and how busy it is.

``message`` says what a report is, ``sender`` publishes it, and ``step`` does so regularly. The monitor stores the
latest report of each worker.
"""

from celery import Celery


def report_regularly(app: Celery) -> None:
    """Let the workers of an app report to the platform queue.

    :param app: an app whose workers have not started yet.

    >>> app = Celery('export')
    >>> report_regularly(app)
    >>> app.steps['worker']
    {'cadasta.workertoolbox.reports.step:Report'}
    """
    # A step is named here and not imported: a producer that sets up an app does not load the modules of a worker.
    app.steps['worker'].add(f'{__name__}.step:Report')
