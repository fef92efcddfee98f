"""Give Prometheus the numbers of a monitor, and answer whether it is well."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..metrics.endpoint import Answer, health
from ..metrics.exposition import CONTENT_TYPE, exposed, info
from .tally import Tally


def answers(tally: Tally) -> Mapping[str, Callable[[], Answer]]:
    """Make what answers requests for ``/metrics`` and ``/healthz``.

    :param tally: what the monitor counts.

    >>> answers(Tally())['/healthz']().status
    503
    """
    process = ProcessCollector(registry=None)
    return {
        '/metrics': lambda: Answer(200, CONTENT_TYPE, exposed([*metrics(tally), *process.collect()])),
        '/healthz': lambda: health(tally.trouble),
    }


def metrics(tally: Tally) -> Iterator[Metric]:
    """Make the metrics of a monitor. Those of several monitors may be added.

    :param tally: what the monitor counts.
    """
    yield info('toolbox_monitor')
    yield CounterMetricFamily('toolbox_monitor_tasks', 'Messages of tasks that this monitor has stored.', tally.tasks)
    yield CounterMetricFamily(
        'toolbox_monitor_rejected', 'Messages that this monitor could not read, and has kept.', tally.rejected
    )
    batches = HistogramMetricFamily('toolbox_monitor_batch_seconds', 'Seconds in which it stored a batch of messages.')
    batches.add_metric([], tally.seconds.buckets, tally.seconds.total)
    yield batches
    errors = CounterMetricFamily(
        'toolbox_monitor_errors', 'How often the broker or the database refused, or was away.', labels=['peer']
    )
    for peer, number in tally.errors.items():
        errors.add_metric([peer], number)
    yield errors
    if tally.waiting is not None:
        yield GaugeMetricFamily(
            'toolbox_monitor_waiting_messages', 'Messages in the platform queue, asked each 30 seconds.', tally.waiting
        )
    yield GaugeMetricFamily(
        'toolbox_monitor_lag_seconds',
        'How long ago this monitor had stored all that was in the platform queue.',
        tally.lag,
    )
    yield GaugeMetricFamily(
        'toolbox_monitor_healthy',
        'Whether it reads and stores: 1, or 0 if /healthz says why not.',
        float(tally.trouble is None),
    )
