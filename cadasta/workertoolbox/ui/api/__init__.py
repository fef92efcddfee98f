"""Every page as JSON and CSV, for programs."""
