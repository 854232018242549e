"""Small things that component code imports."""
