"""Let an app publish into a broker in memory, and write down what happens."""
