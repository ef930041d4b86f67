"""The address /initialisation, as people type it."""

from fmnist_core.ui.shared import pages

pages.open_instead(pages.Page.INITIALISATION)
