"""What a person does with the platform: functions with typed arguments, results and errors."""
