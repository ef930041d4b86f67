"""Runs and results on disk, in standard formats. No Dask, no TensorFlow."""
