"""Tokens to logits: cells, recurrent layers, dropout, the language model and its likelihood."""
