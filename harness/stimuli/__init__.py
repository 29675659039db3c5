"""What a subject is shown and asked.

`scene` says what is where, `draw` turns a scene into an image, `prompt` turns it into text with the
spans that name each object, `design` draws the trial sets of the papers, `contrast` pairs a clean
trial with its counterfactual. Nothing here knows a model: no torch, no tokenizer.
"""
