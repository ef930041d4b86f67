"""Page Inspect."""

from fmnist_core.ui.inspect import inspect_page

inspect_page.show()
