"""What runs behind the window, in a thread or a process of its own."""
