"""How the site of the documents is built: `tox run -e docs`. docs/decisions says why by Sphinx."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

from harness import __version__  # noqa: E402

project = "binding-claims"
author = "The binding-claims authors"
copyright = "the binding-claims authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "parts",
]

html_theme = "furo"
html_title = f"binding-claims {__version__}"
# The same documents give the same pages, on whatever day.
html_last_updated_fmt = None
html_copy_source = False

# Anchors of headings are those that the files have where the repository is shown.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

root_doc = "index"
exclude_patterns = ["extensions", "api/modules.rst"]

apidoc_modules = [
    {
        "path": "../harness",
        "destination": "api",
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_member_order = "bysource"
autodoc_mock_imports = ["ray"]
# In the docstrings a word between backticks is code, as in Markdown.
default_role = "literal"
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
# The aliases of numpy's types would be spelled out over several lines.
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
toc_object_entries = False
# Two rooms may each have a class of one name, and a type in a signature names neither; it leads to one of them.
suppress_warnings = ["ref.python"]
