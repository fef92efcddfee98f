"""Give Prometheus the numbers of the platform, as they are in the database."""

from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from ..metrics.exposition import info
from ..tracked import ReportedWorker
from ..tracked.readings import Readings, consumers_by_key, silent

#: So many queues have numbers. Strangers may report any queues.
QUEUES = 30
# So many tasks of all queues together are looked at.
_TASKS = 5_000


def metrics(readings: Readings) -> Iterator[Metric]:
    """Make the metrics that tell how the platform is now.

    :param readings: the database.
    :raises NotUsable: where a table is missing, or the role may not read it.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be read.
    """
    yield info('toolbox')
    if (lag := readings.lag()) is not None:
        yield GaugeMetricFamily(
            'toolbox_lag_seconds', 'How long ago a monitor had stored all that was in the platform queue.', lag
        )
    yield GaugeMetricFamily('toolbox_monitors', 'Monitors that are at work.', readings.monitors())
    yield GaugeMetricFamily('toolbox_tasks_lost', 'Tasks that are lost while they ran, up to 10,000.', readings.lost())
    yield GaugeMetricFamily(
        'toolbox_messages_rejected', 'Messages that no monitor could read, up to 10,000.', readings.rejected()
    )
    if (outbox := readings.unpublished()) is not None:
        yield GaugeMetricFamily(
            'toolbox_outbox_messages',
            'Messages of the outbox that no relay has published, up to 10,000.',
            outbox.waiting,
        )
        yield GaugeMetricFamily(
            'toolbox_outbox_oldest_seconds', 'How long ago the first of these was written.', outbox.oldest
        )
        yield GaugeMetricFamily(
            'toolbox_outbox_kept', 'Messages of the outbox that can never be published, up to 10,000.', outbox.kept
        )
    reported = readings.reported()
    workers = GaugeMetricFamily('toolbox_workers', 'Workers that were seen within a day.', labels=['standing'])
    workers.add_metric(['alive'], sum(worker.standing == 'alive' for worker in reported))
    workers.add_metric(['silent'], len(silent(reported)))
    yield workers
    yield from _of_queues(readings, reported)


def _of_queues(readings: Readings, reported: list[ReportedWorker]) -> Iterator[Metric]:
    families = [
        GaugeMetricFamily(f'toolbox_queue_{name}', text, labels=['queue'])
        for name, text in (
            ('consumers', 'Workers that are alive and say that they consume the queue.'),
            ('tasks', 'Tasks that have yet to start, among the newest thousand of the queue or fewer.'),
            ('stuck_seconds', 'For how long nobody has started any of these.'),
        )
    ]
    found = sorted(consumers_by_key(reported).most_common(QUEUES))
    for queue, number in found:
        values = (number, *readings.queued(queue, min(_TASKS // len(found), 1_000)))
        for family, value in zip(families, values, strict=True):
            family.add_metric([queue], value)
    yield from families
