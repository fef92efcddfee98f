"""Rule 9: a worker leaves the platform queue alone."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations, Worker
from .rule import Verdict, Violation

_EXPECTED = 'a worker with default options leaves the platform queue alone'


def reason_to_skip(seen: Observations) -> str:
    return '' if seen.worker else 'No worker is made of this app.'


def judge(seen: Observations) -> Iterator[Verdict]:
    # An app without a worker consumes no queue.
    yield Verdict({}, _consumption(seen.worker or Worker(), seen.platform_queue))


def note(seen: Observations) -> str:
    """Name the receivers that were not called: it is not known what they do."""
    if not seen.spared:
        return ''
    receivers = '; '.join(f'{", ".join(names)} of {signal}' for signal, names in seen.spared.items())
    return (
        'These receivers were not called, because they could change something. The test case of '
        f'build_functional_tests calls them and judges what they do to the queues of a worker: {receivers}.'
    )


def _consumption(worker: Worker, platform: str) -> Violation | None:
    if worker.error is not None:
        return Violation(
            _EXPECTED,
            'the initialisation of a worker',
            worker.error,
            'Mend what the error names: settings, or receivers of celeryd_init, worker_init and celeryd_after_setup.',
        )
    if platform in worker.consumes:
        return Violation(
            _EXPECTED,
            'the queues that a worker consumes',
            sorted(worker.consumes),
            'Configure the app by a Config, or call cadasta.workertoolbox.setup.setup_app on worker_init. Let no '
            f'receiver of celeryd_init, worker_init or celeryd_after_setup select {platform!r}.',
        )
    return None
