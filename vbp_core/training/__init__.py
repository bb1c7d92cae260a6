"""Training steering networks, and looking at how they became what they are."""
