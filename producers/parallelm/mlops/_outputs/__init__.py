"""Where reports go, one output for each mode of the library."""
