"""What people do with the platform, as functions with typed arguments, results and errors."""
