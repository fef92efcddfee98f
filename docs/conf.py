"""The configuration of the manual. Build it with ``sphinx-build docs build/docs``, which needs no network."""

from __future__ import annotations

from typing import Any

import cadasta.workertoolbox

project = 'Cadasta Worker Toolbox'
author = 'Cadasta'
release = version = cadasta.workertoolbox.__version__

extensions = ['sphinx.ext.autodoc', 'sphinx_click', 'sphinx_copybutton']
exclude_patterns = ['build']
default_role = 'py:obj'
smartquotes = False

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
python_display_short_literal_types = True

nitpicky = True
# Other projects document these. A reference to our own names must be found.
nitpick_ignore_regex = [
    (r'py:.*', r'(celery|kombu|sqlalchemy|click|flask|unittest|pathlib|logging|collections|typing|types|datetime)\b.*'),
    (r'py:.*', r'(Celery|Task|Path|Any|TestCase|SystemExit|unittest)'),
    # Made for type checkers; the settings have a page of their own.
    (r'py:class', 'Keywords'),
    (r'py:.*', r'(str|int|float|bool|dict|list|tuple|type|bytes|None|pytest)'),
]

html_theme = 'furo'
html_static_path = ['_static']
html_css_files = ['manual.css']
html_title = f'{project} {release}'
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    'source_repository': 'https://github.com/Cadasta/cadasta-workertoolbox/',
    'source_branch': 'main',
    'source_directory': 'docs/',
}
copybutton_exclude = '.linenos, .gp, .go'


def escape_help(app: Any, context: Any, lines: list[str]) -> None:
    """Show the asterisks in the help of options, which are no markup."""
    lines[:] = [line.replace('*', r'\*') for line in lines]


def setup(app: Any) -> None:
    app.connect('sphinx-click-process-options', escape_help)
