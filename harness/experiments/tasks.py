"""Names of the tasks that subjects are asked to do, in the order in which their scenes are drawn."""

from __future__ import annotations

SETS = ("two objects", "four objects, 2x2", "six objects, outer columns")
"""Scene descriptions of sections 3.3 and 3.4."""

TASKS = (
    "block of four",
    "side by side",
    "two solids",
    "color of a shape",
    "directly beside",
    "nine objects",
    "row question, shapes",
    "row question, squares",
    "row question, solids",
)
"""Tasks of sections 4.1 to 4.5 and of appendix D; then the settings of Cui et al. (section 3).

Lists and counts (appendices B and C) are written out: their experiments tell by themselves how many are right.
"""
