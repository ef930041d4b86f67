"""Page Train."""

from fmnist_core.ui.train import train_page

train_page.show()
