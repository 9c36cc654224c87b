"""Two models on one text: which predicts it better, and how certain that is."""
