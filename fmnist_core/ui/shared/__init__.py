"""What the pages share: the frame, the state of a page and its address, progress, downloads, the choice of a run."""
