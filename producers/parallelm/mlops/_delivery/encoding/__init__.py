"""Encodes reports to records, each with its topic and key."""
