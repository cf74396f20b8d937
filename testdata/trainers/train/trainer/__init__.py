"""A trainer that really trains: logistic regression, with checkpoints."""
