"""The state of one sequence: stacks, the matcher, what completes a text."""
