"""From reports to progress bars, lines, tables and JSON.  rich lives here only.

stdout is data, stderr is talk.  Styling only on a terminal, and nothing depends on it.
"""
