"""The agent, one a host: runs pipelines, delivers models, reports."""
