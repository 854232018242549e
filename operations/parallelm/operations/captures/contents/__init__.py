"""What a capture holds, and how it is written."""
