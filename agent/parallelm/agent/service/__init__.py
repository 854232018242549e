"""The agent as a service: what it is asked on topics, what it reports, and how it holds its name and its leases."""
