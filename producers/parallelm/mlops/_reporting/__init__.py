"""What a reporting call makes: checked numbers, statistic objects and events."""
