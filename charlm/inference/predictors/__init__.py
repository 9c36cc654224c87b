"""What every model can do: tokens and state go in, log-probabilities and state come out."""
