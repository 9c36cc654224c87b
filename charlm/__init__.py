"""Train a stacked LSTM language model on any text, let it write, and measure how well it predicts.

The package is a house of floors, and an import only points down:
``cli``; ``console``; ``training``, ``inference``; ``storage``; ``data``, ``model``; ``config``;
``metrics``, ``durable``, ``errors``.  Importing this module loads none of them.
"""

__version__ = "0.1.0"
