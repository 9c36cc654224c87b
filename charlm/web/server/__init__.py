"""Models over HTTP: what OpenAI's clients ask for, scores, and the page that writes."""
