"""From reports to encoded records, each with its topic and key."""
