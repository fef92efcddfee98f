"""The tasks of the export service, and the workflows that are made of them.

The part of a task's name before the first dot is the queue it is sent to, so everything here is called `export.…`.
This codebase names the tasks of other services, as in `app.signature('msg.send')`, and never imports them.
"""

import time

from celery import Signature, Task, chain, chord

from cadasta.workertoolbox.utils import extract_followups
from export_worker.celery import app


@app.task(name='export.parcels')
def parcels(project: str) -> list[str]:
    """Look up the parcels of a project."""
    return [f'{project}-1', f'{project}-2', f'{project}-3']


@app.task(name='export.table')
def table(rows: list[str]) -> str:
    """Write rows as CSV."""
    return '\n'.join(['parcel', *rows])


@app.task(name='export.map')
def draw_map(project: str, page: int) -> str:
    """Draw one page of a project's atlas."""
    return f'{project}-{page}.pdf'


@app.task(name='export.archive')
def archive(files: list[str]) -> str:
    """Pack files into one."""
    return f'{len(files)}-files.zip'


@app.task(name='export.boundary')
def boundary(project: str) -> str:
    """Look up the boundary of a project: fails, because no project of the example has one."""
    raise LookupError(f'{project} has no boundary')


@app.task(name='export.film')
def film(parcels: list[str]) -> str:
    """Film a flight over parcels. It takes ten seconds, in which its worker can be killed."""
    time.sleep(10)
    return f'{len(parcels)}-parcels.mp4'


@app.task(name='export.everything', bind=True)
def everything(self: Task, project: str) -> str:
    """Schedule a chord and hand this task's own followups to the last step of it.

    A caller who links a callback to this task wants it to be called with the archive, not with this task's own result.
    """
    last_step = archive.s().set(**extract_followups(self))
    return chord([draw_map.s(project, page) for page in (1, 2)], last_step).delay().id


def report(project: str) -> Signature:
    """A chain: each task is given the result of the one before it."""
    return chain(parcels.s(project), table.s())


def atlas(project: str) -> Signature:
    """A chord: the pages are drawn side by side, and its body, of another service, is given all of them."""
    return chord([draw_map.s(project, page) for page in (1, 2, 3)], app.signature('msg.send', args=['ada@example.org']))


def flight(project: str) -> Signature:
    """A chain through two services: the film takes a while, and the message waits for it."""
    return chain(parcels.s(project), film.s(), app.signature('msg.send', args=['ada@example.org']))
