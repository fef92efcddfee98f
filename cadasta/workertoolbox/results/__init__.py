"""How workers store the states and results of tasks, and let each task run once.

``backend`` is Celery's database backend with one statement a state. A worker that starts a task claims it by that
statement (``claim``). ``guard`` keeps a task from running without its claim, ``comeback`` sends a copy that came too
early back into its queue, and ``lease`` renews the claims of what runs.
"""

from .clear_errors import refuse_clearly

__all__ = ['refuse_clearly']
