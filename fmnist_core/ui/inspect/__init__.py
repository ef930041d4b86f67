"""Page Inspect."""
