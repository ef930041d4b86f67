"""Page Compare."""

from fmnist_core.ui.compare import compare_page

compare_page.show()
