"""Whether anybody can see the page."""
