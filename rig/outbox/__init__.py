"""Producers that write an outbox and are killed, relays that are killed, and what has become of each task."""
