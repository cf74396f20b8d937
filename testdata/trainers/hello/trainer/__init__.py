"""A trainer that greets, and leaves the greeting in its job directory."""
