"""Pictures: pure functions from arrays and data frames to Altair charts. No Streamlit, no TensorFlow."""
