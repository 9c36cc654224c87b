"""The crash laboratory: kills, lost writes, failing system calls and flipped bits, counted.

The test suite runs a small part of it, ``scripts/drill`` the long form (``parts.py``).
"""
