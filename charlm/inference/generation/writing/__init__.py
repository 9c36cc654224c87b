"""A text that a person and a model write together: the session, its candidates, its file."""
