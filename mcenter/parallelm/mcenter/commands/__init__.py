"""One file a sub-command. The first line of its docstring, after the colon, is its line in ``mcenter --help``."""
