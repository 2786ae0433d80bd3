"""Sphinx's settings for the site; copied beside its sources."""

from adautomix.book.docstrings import process, signature

project = "The AdAutoMix workbook"
author = "the AdAutoMix workbook's authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_static"]
default_role = "code"  # `name` in a docstring

nb_execution_mode = "off"  # pages show what the plan executed
nb_merge_streams = True
nb_ipywidgets_js = {}  # widgets would come from the network; the notebooks draw a static figure instead
myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence"]
myst_heading_anchors = 3

smartquotes_action = "qe"  # quotes and ellipses, but two hyphens begin a flag

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Source"]

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["workbook.css"]
html_domain_indices = False  # api/index lists the modules
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # the summaries are fetched, which a browser refuses for file://
html_context = {"default_mode": "light"}
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "show_navbar_depth": 1,
    "navbar_persistent": [],
    "collapse_navigation": True,
}
mathjax_path = "mathjax/tex-chtml.js"


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}  # else Sphinx reads one page after the other
