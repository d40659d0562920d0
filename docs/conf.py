"""Configuration of Sphinx."""

from importlib.metadata import version as installed_version

project = "sparsectr"
author = "The sparsectr developers"
project_copyright = "2026, The sparsectr developers"
release = installed_version("sparsectr")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # equations without a network
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections say it better
numpydoc_show_class_members = False  # the class template lists the methods of this package

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sparsectr",),
    "reference_url": {"sparsectr": None},
    "within_subsection_order": "ExampleTitleSortKey",
    "image_srcset": ["2x"],
    "show_memory": False,
    "write_computation_times": False,
}

templates_path = ["_templates"]
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = f"sparsectr {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_prev_next": False,
}
