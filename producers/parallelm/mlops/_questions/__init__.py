"""Queries that components send to the platform, and the frames that they return."""
