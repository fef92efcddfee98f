"""Transports that outlive what a broker answers. They replace those of kombu in apps that use `Config`."""
