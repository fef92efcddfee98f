"""Write the id of a task into the path of an address."""

from urllib.parse import quote

from werkzeug.routing import PathConverter


class IdConverter(PathConverter):
    """Takes any id, and writes its slashes so that no browser takes them for those of a path.

    Otherwise a link to a task with an id like ``../../admin`` would lead away from the page.
    """

    regex = '.+?'
    part_isolating = False

    def to_url(self, value: str) -> str:
        return quote(value, safe='')
