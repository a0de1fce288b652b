"""Grammar text → `Grammar`: no automata, no vocabulary."""
