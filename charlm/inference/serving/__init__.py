"""Texts of many callers at a time, written side by side."""
