"""Write numbers as Prometheus reads them."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__

#: The ``Content-Type`` of the text.
CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def info(name: str) -> Metric:
    """Make the metric whose label is the version of this package.

    :param name: its name, without ``_info``.
    """
    return InfoMetricFamily(name, 'The version of the Worker Toolbox.', {'version': __version__})


def exposed(metrics: Iterable[Metric]) -> bytes:
    """Write metrics as a text.

    :param metrics: the metrics. No two have a name in common.

    >>> print(exposed([info('toolbox')]).decode().splitlines()[1])
    # TYPE toolbox_info gauge
    """
    registry = CollectorRegistry()
    registry.register(_Given(list(metrics)))
    return generate_latest(registry)
