"""Makes the history in a capture readable in another installation."""
