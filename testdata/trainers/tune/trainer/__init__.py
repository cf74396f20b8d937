"""A trainer whose hyperparameters are tuned."""
