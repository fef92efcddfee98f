"""Ask for metrics, and for health, as Prometheus and Kubernetes do."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from rig.servers.process import PATIENCE, Process


def get(url: str) -> tuple[int, str]:
    """Send a request; returns the status and the text of the answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def monitored(process: Process) -> str:
    """The address at which a monitor with `--metrics-port` answers."""
    port, host = process.wait_for(r'Metrics: port (\d+) of (\S+)$').groups()
    return f'http://{host}:{port}'


def samples(text: str) -> dict[str, float]:
    """The values of metrics, by their name with its labels."""
    return {
        sample.name + ''.join(f' {name}={value}' for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
