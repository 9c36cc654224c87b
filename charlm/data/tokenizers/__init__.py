"""Text to token ids and back: byte, char, word, bpe and unigram."""
