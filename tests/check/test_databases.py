"""The check says some things of databases without asking one."""

from __future__ import annotations

from cadasta.workertoolbox.check.databases import check_results

from ..conformance.apps import make_app


def test_results_that_go_elsewhere_are_skipped_once() -> None:
    app = make_app(broker_url='memory://', result_backend='rpc://')
    found = [(finding.state, finding.outcome.skipped) for finding in check_results(app, True, False)]
    assert found == [('skipped', 'the results of this app do not go to a database')] * 7
