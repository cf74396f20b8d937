"""A trainer for several machines: a parameter server, and replicas that train."""
