"""Streamlit parts that the screens share."""
