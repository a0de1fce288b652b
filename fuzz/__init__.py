"""Fuzzing: the properties of the tests, fed with random bytes for as long as one likes."""
