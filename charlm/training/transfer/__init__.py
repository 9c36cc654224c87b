"""Training a run on with another text: its weights, its vocabulary, and what it forgets."""
