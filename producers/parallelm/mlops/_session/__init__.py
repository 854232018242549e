"""What is open, who this component is, and what time its reports carry."""
