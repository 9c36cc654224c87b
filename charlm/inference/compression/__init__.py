"""Lossless compression with a language model, by arithmetic coding."""
