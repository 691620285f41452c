"""What must never cross between Test and Production, and what is done where it tries to."""
