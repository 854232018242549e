"""Models that components publish and download."""
