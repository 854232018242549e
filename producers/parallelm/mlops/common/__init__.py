"""Functions on texts that component code imports."""
