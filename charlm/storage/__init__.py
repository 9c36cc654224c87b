"""A run on disk: checkpoints that are whole or absent, and the folder that holds them."""
