"""A trainer whose work is in another package."""
