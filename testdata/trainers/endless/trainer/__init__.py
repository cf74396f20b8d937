"""A trainer that never ends by itself."""
