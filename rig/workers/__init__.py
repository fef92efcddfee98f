"""Workers of two services, their beat and their producers, each a process of its own."""
