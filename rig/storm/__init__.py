"""A storm on a whole platform, after which its books must balance: `python -m rig.storm --help`."""
