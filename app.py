"""Page Home."""

from fmnist_core.ui.home import home_page

home_page.show()
