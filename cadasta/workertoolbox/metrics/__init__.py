"""Prometheus reads these: distributions of seconds, the text with all numbers, and the addresses that have it.

A monitor has the numbers of its own process. The page has those of the platform, which it reads in the database. The
two share no name, so that no sum has anything twice.
"""
