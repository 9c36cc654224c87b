"""Training: a generator of reports over steps of truncated back-propagation through time."""
