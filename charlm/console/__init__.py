"""Show records as progress bars, lines, tables and JSON; the only package that imports rich.

Data goes to stdout, messages go to stderr.  Only a terminal gets colours, and no meaning is lost
without them.
"""
