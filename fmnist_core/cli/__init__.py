"""The command line: `python -m fmnist_core`."""
