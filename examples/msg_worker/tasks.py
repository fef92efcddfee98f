"""The tasks of the message service. Other services call them by name and have none of this code."""

from msg_worker.celery import app


@app.task(name='msg.send')
def send(content: str | list[str], recipient: str) -> str:
    """Send content to a recipient; the body of a chord is given the list of what the header returned."""
    files = [content] if isinstance(content, str) else content
    return f'{", ".join(files)} sent to {recipient}'


@app.task(name='msg.alarm')
def alarm(task_id: str) -> str:
    """Tell the operators that a task failed.

    An errback that the failing task's worker has no code for is sent on as a task, with the id of the failed task as
    its one argument. That is why this one takes an id and not `(request, exc, traceback)`, which Celery passes only to
    errbacks that it can call in the worker where the task failed.
    """
    return f'told the operators about {task_id}'
