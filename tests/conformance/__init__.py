"""The functional tests, tried on apps that break a rule and on apps that break none."""
