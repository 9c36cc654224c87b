"""Choosing among n-best hypotheses, and tuning the weights for that."""
