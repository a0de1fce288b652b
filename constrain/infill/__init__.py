"""Probabilities of bytes from a model of tokens; the mathematics, without tensors."""
