"""What is installed with the program: the demo drive."""
