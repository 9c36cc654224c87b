"""What limits the tokens of a text: regular expressions, and copies of the training text."""
