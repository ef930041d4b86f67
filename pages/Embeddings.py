"""Page Embeddings."""

from fmnist_core.ui.embeddings import embeddings_page

embeddings_page.show()
