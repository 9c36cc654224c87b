"""Texts that are searched for instead of sampled: the most probable ones, and what fills gaps."""
