"""The command line: parse, call one function, hand the result on.  click lives here only."""
