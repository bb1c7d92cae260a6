"""What asks the user, and waits for an answer."""
