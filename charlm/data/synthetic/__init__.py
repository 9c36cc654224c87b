"""Synthetic text from sources whose entropy rate is known exactly."""
