"""Monitors in processes of their own, a producer for them, and the databases that they write into."""
