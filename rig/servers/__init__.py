"""Real servers and real processes: private, on loopback, and gone when whoever started them is done."""
