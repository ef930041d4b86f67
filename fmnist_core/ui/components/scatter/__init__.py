"""A map of thousands of images."""
