"""Files of pairs, regions of interest, n-best lists and references."""
