"""Calls of the original's clients, which existing programs make: outside the API's contract."""
