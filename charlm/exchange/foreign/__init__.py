"""Files of other tools, read into one form of a recurrent language model."""
