"""Text between a prefix and a suffix: what may be written there, and where it may end."""
