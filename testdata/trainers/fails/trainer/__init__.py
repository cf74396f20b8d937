"""A trainer that ends with a traceback."""
