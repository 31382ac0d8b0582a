"""What a host is, and how fast an artifact is on it."""
