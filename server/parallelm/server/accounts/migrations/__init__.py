"""Migrations of the SQL database, applied in their order when a server starts."""
