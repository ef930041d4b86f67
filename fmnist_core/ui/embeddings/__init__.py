"""Page Embeddings."""
