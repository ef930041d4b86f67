"""Maps of what a layer hands on: neighbours, PCA, t-SNE, UMAP, and how far to trust them. No TensorFlow here."""
