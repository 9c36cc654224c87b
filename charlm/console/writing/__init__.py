"""The screen of ``charlm write``: what it shows, its keys, and how a session runs in a terminal."""
