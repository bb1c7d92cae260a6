"""What the window's actions do, and what puts the player's words into the panels."""
