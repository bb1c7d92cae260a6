"""What is open, and what the user has said about it."""
