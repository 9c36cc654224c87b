"""Where a text stands in another one, found through the sorted suffixes of that other text."""
