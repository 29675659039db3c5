"""What an answer under an edit may follow from, by name."""

EXPLANATIONS = ("relative", "absolute", "ordinal", "content", "copying", "nothing")
"""What an answer under an edit may follow from.

relative: the position ID, as a place in the group of objects, which is the paper's explanation
absolute: the position ID, as a place in the image
ordinal: a place in the text, the k-th object that it mentions
content: what a subject names that finds its answer by content, whatever was edited
copying: a word that is carried over, from the prompt or from the run whose activations are put in
nothing: the answer without an edit
"""


UNEDITED = ("content", "nothing")
"""Explanations that do without the edit."""
