"""The settings of a `Config`: the places that it reads them from, and the values that they may have."""
