"""Page Data."""

from fmnist_core.ui.data import data_page

data_page.show()
