"""From text to batches: corpora, tokenizers, the token store and the streams that feed a model."""
