"""How much of what a model writes stands in its training text."""
