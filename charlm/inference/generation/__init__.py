"""Text written by a model: filters, samples, stop strings."""
