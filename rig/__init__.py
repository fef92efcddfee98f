"""Real servers, monitors, workers and storms, for tests and benchmarks."""
