"""How well a model predicts a text: scores, tables, conventions, uncertainty and baselines."""
