"""Where the settings of a `Config` come from, and which values they may have."""
