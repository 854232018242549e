"""Models: made, published, uploaded, taken."""
