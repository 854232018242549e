"""What components ask the platform, and the frames that answer."""
