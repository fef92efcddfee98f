"""The export service of the example: it makes files out of a project's data."""
