"""Byte-exact probabilities: how tokens may spell a byte string, each way with its weight."""
