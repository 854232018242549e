"""Turns what the control plane sends into programs on this host: components, Python environments, variables, models."""
