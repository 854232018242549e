"""Models: creation, publication, upload and download."""
