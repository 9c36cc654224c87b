"""Helping a model while it reads: dynamic evaluation, cache, temperature, mixing."""
