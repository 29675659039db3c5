"""The images that a subject is shown, and the prompts about them.

`scene` says what is where; `draw` turns a scene into an image, with the outlines of `glyphs`, the solids of
`render` or a file that `photographs` found; `prompt` writes texts with the spans that name each object;
`design`, `questions` and `blocks` draw the trial sets of the papers; `contrast` pairs a clean trial with its
counterfactual. Nothing here knows a model: no torch, no tokenizer.
"""
