"""Accounts, sessions and tokens: what the server keeps in its SQL database."""
