"""Known corpora: their cards, and how they are downloaded and verified."""
