from .celery import app


@app.task(name='export.tasks.add')
def add(x: int, y: int) -> int:
    return x + y
