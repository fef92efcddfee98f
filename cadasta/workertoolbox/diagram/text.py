"""A diagram as text: trees for a terminal, and lines that can be searched."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from .contents import BoundExchange, BoundQueue, Diagram


def show(diagram: Diagram, console: Console) -> None:
    """Print a diagram as trees: exchanges, their queues by routing key, and the tasks that reach them.

    :param diagram: the diagram.
    :param console: the terminal.
    """
    arrow = ' → ' if console.encoding.startswith('utf') else ' -> '
    for exchange in diagram.exchanges:
        console.print(_tree(exchange, arrow))
    if diagram.lost:
        lost = Tree(Text('lost', 'bold red'), guide_style='red')
        for task, reason in diagram.lost:
            lost.add(Text(task, 'red')).add(Text(reason))
        console.print(lost)


def lines(diagram: Diagram) -> list[str]:
    """Write a diagram as lines of columns, with at least two spaces between them.

    :param diagram: the diagram.
    :returns: the lines ``exchange NAME TYPE``, ``queue NAME NAME-AT-THE-BROKER``, ``binding EXCHANGE KEY QUEUE``,
        ``task NAME QUEUE`` and ``lost NAME REASON``.

    >>> lines(Diagram((BoundExchange('task_exchange', 'topic', ()),), ()))
    ['exchange  task_exchange  topic']
    """
    queues = [(exchange, queue) for exchange in diagram.exchanges for queue in exchange.queues]
    return [
        *_aligned('exchange', [(exchange.name, exchange.type) for exchange in diagram.exchanges]),
        *_aligned('queue', [(queue.name, queue.called) for _, queue in queues]),
        *_aligned('binding', [(exchange.name, key, queue.name) for exchange, queue in queues for key in queue.keys]),
        *_aligned('task', [(task, queue.name) for _, queue in queues for task in queue.tasks]),
        *_aligned('lost', diagram.lost),
    ]


def _tree(exchange: BoundExchange, arrow: str) -> Tree:
    tree = Tree(Text.assemble((exchange.name, 'bold'), (f'  {exchange.type} exchange', 'dim')), guide_style='dim')
    width = max((cell_len(_keys(queue)) for queue in exchange.queues), default=0)
    for queue in exchange.queues:
        name, *notes = queue.caption
        keys = _keys(queue)
        branch = tree.add(
            Text.assemble(
                (keys, 'yellow'),
                ' ' * (width - cell_len(keys)),
                (arrow, 'dim'),
                (name, 'bold magenta' if queue.is_platform else 'bold cyan'),
                (f'  {"  ".join(notes)}', 'dim'),
            )
        )
        for task in queue.tasks:
            branch.add(Text(task, 'dim' if task.startswith('celery.') else ''))
    return tree


def _keys(queue: BoundQueue) -> str:
    return ', '.join(queue.keys)


def _aligned(kind: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    # A queue that is bound to two exchanges gets one line.
    table = [(kind, *row) for row in dict.fromkeys(rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield '  '.join(cell + ' ' * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
