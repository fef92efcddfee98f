"""The database of tasks and results: how to connect to it, its tables, its views and its roles."""
