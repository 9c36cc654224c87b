"""From minutes and a text to settings: the probe, the decisions, the progress."""
