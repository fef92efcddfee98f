"""Coverage does not measure the processes that some tests start: what these run, other tests run as well.

A process that is measured takes half as long again. If a test in one of these files becomes the only one that runs a
line, coverage misses the line. Then take the file out of the list.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

#: The variable by which coverage.py measures a process from its start.
VARIABLE = 'COVERAGE_PROCESS_CONFIG'
UNMEASURED = (
    'alarms',
    'commands/test_check.py',
    'commands/test_monitor.py',
    'commands/test_reports.py',
    'commands/test_tables.py',
    'commands/test_topology.py',
    'conformance',
    'database/test_refused.py',
    'database/test_settings.py',
    'database/test_worker_role.py',
    'docs',
    'mending',
    'monitor/test_bounds.py',
    'monitor/test_clock.py',
    'monitor/test_faults.py',
    'real/test_alarm.py',
    'real/test_answers.py',
    'real/test_broker_restart.py',
    'real/test_brokers_elsewhere.py',
    'real/test_current_app.py',
    'real/test_demoted.py',
    'real/test_facts.py',
    'real/test_fork.py',
    'real/test_leases.py',
    'real/test_lossless.py',
    'real/test_memory.py',
    'real/test_order.py',
    'real/test_predefined_queues.py',
    'real/test_redis_away.py',
    'real/test_requeue.py',
    'real/test_results.py',
    'real/test_routes.py',
    'real/test_silence.py',
    'real/test_worker_queues.py',
    'relay/test_kills.py',
    'reports/test_workers.py',
    'results/test_clocks.py',
    'results/test_deaths.py',
    'results/test_in_memory.py',
    'results/test_roles.py',
    'results/test_spawn.py',
    'seams/test_celery_worker.py',
    'settings/test_credentials.py',
    'settings/test_transports.py',
    'storm',
    'test_benchmarks.py',
    'test_example.py',
    'test_import_cost.py',
    'test_packaging.py',
    'test_quickstart.py',
    'test_selection.py',
    'tracked/test_expired.py',
    'tracked/test_real_workflows.py',
    'tracked/test_standing.py',
    'typing',
    'ui/test_browser.py',
    'ui/test_openapi.py',
)

_HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        if any(item.path.is_relative_to(_HERE / name) for name in UNMEASURED):
            monkeypatch.delenv(VARIABLE, raising=False)
        return (yield)
