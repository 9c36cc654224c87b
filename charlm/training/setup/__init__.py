"""What is settled before the first step: the settings, the text, and the run to go on with."""
