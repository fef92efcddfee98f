"""The message service of the example: it tells people what happened."""
