"""Models under test.

`registry` reads fixtures/subjects.toml and `pinning` writes commits into it; `folder` reads what a checkpoint's
files say before it is loaded; `anatomy` knows where layers, heads and image tokens are in each family,
`layout` how an image is written in a prompt, `deepstack` which vision features are added later; `loading` makes
a subject from a folder or a repository, `exact` computes in float32 from weights in half precision, `weights`
refuses files that would not be loaded and `tensors` what no module uses, `contents` knows whether a folder is
still what it was, `fitting` refuses parts that do not fit, `templates` finds the chat template, `wording` has
what each family is told; `subject` encodes trials into a `batch`, in an `arrangement`.
`misled` breaks the tie between trial and image, `speaking` changes how answers are written, `twins` makes
models of the same function and `exchanged` the same task in other words, with tokens that `renumbering` moved.
"""
