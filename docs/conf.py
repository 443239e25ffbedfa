"""Sphinx: Markdown pages (MyST), furo. `make docs` builds them; every warning is an error."""

from vyked_host.errors import __version__

project = "vyked-host"
author = "the vyked-host developers"
copyright = "2026, the vyked-host developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"vyked-host {__version__}"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
