"""Page Initialisation."""
