"""Real servers and real processes for the tests: private, on loopback, and gone at the end of the run."""
