"""How the host process forks and ends, and what the library does then."""
