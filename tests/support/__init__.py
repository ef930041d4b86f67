"""What tests share besides fixtures: stored runs, pages as scripts, the real app's server, waiting."""
