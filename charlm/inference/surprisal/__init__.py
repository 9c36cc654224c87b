"""How surprising each token, word, line, region or sentence pair of a text is."""
