"""Records drawn as pages and pictures: one HTML file that needs nothing else, or an image."""
