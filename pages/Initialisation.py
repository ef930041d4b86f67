"""Page Initialisation."""

from fmnist_core.ui.initialisation import initialisation_page

initialisation_page.show()
