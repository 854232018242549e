"""Models that components publish and take."""
