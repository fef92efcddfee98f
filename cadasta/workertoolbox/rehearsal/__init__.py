"""Let an app publish into a broker in memory, and record its messages."""
