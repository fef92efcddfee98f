"""Real servers and real processes: private, on loopback, and stopped when the program that started them is done."""
