"""Text between a prefix and a suffix: byte-exact probabilities, and what may be written there."""
