"""Components of our own: a Python face, JavaScript and a style in one folder each."""
