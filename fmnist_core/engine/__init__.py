"""The queue of jobs and the worker processes, on Dask. No TensorFlow, no Streamlit."""
