"""Models from other tools and for other tools."""
