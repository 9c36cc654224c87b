"""From a text and its settings to counted, divided and encoded tokens on disk."""
