"""Run a storm on a whole platform and balance its books: `python -m rig.storm --help`."""
