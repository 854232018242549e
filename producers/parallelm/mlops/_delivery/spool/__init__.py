"""Records on disk, so that they outlive an absent broker and a killed process."""
