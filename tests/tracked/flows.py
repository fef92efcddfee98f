"""A producer of workflows that are made of workflows; it prints the id of a task of each."""

from __future__ import annotations

from typing import Any

from celery import chain, chord, group
from export_worker.celery import app


def task(name: str, *args: str | int, immutable: bool = True) -> Any:
    return app.signature(f'export.{name}', args, immutable=immutable)


page = task('map', 'kibera', 1)
pages = [task('map', 'kibera', number) for number in (1, 2)]
archive = task('archive', immutable=False)
table = task('table', immutable=False)
step = task('parcels', 'kibera')
fails = task('boundary', 'kibera')
send = app.signature('msg.send', ['ada@example.org'])
alarm = app.signature('msg.alarm')

FLOWS = {
    'retried': task('flaky', 'done'),
    'retried_in_a_chain': chain(step, step, task('flaky', 'done'), send),
    'replaced': task('replaced'),
    'group': group(pages),
    'group_of_chains': group(chain(step, table), chain(step, table)),
    'chord_in_a_chain': chain(step, chord(pages, archive), send),
    'chord_of_chains': chord([chain(step, page), chain(step, page)], archive),
    'chord_with_a_chain': chord(pages, chain(archive, send)),
    'chord_of_a_chord': chord([chord(pages, archive), page], archive),
    'chord_of_a_group': chord(group(group(pages), page), archive),
    'group_upgraded': chain(group(pages), archive, send),
    'failed_chord': chord([page, fails], archive.on_error(alarm)),
    'failed_chain': chain(step, fails, table),
    'errback_of_a_chain': chain(step, fails).on_error(alarm),
}

if __name__ == '__main__':
    for name, flow in FLOWS.items():
        print(name, flow.delay().id)
