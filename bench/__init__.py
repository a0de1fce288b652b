"""Measurements of speed, beside the peers. `python -m bench.masks` runs them."""
