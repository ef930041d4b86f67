"""A square to draw on."""
