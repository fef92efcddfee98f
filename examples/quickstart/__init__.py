"""`./quickstart` runs the example's services on real queues and a real result database, for a minute."""
