"""The tasks of the message service. Other services call them by name, and have none of this code."""

from msg_worker.celery import app


@app.task(name='msg.send')
def send(content: str | list[str], recipient: str) -> str:
    """Send content to a recipient; the body of a chord is given the list of what the header returned."""
    files = [content] if isinstance(content, str) else content
    return f'{", ".join(files)} sent to {recipient}'


@app.task(name='msg.alarm')
def alarm(task_id: str) -> str:
    """Tell the operators that a task failed.

    The worker where the task failed has no code for this errback. Celery therefore sends it as a task, whose only
    argument is the id of the failed task. Celery passes `(request, exc, traceback)` only to errbacks that it can call
    in that worker.
    """
    return f'told the operators about {task_id}'
