"""N-gram language models: counting, Kneser-Ney smoothing, choice of the order, and PPM."""
