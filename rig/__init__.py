"""What tests and benchmarks are rigged up with: servers, monitors, workers and storms, all of them real."""
