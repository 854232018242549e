"""Records on disk, so that they survive an unavailable broker and a killed process."""
