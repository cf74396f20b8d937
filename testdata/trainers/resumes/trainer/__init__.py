"""A trainer that survives the loss of its machine."""
