"""Models under test.

`registry` reads fixtures/subjects.toml and `pinning` writes commits into it; `folder` knows what a checkpoint
says of itself before it is loaded; `anatomy` knows where layers, heads and image tokens live in each family,
`layout` how an image stands in a prompt, `deepstack` what is added to it later; `loading` makes a subject from
a folder or a repository, `fitting` refuses what does not fit, `templates` finds the chat template; `subject`
encodes trials into a `batch`, in an `arrangement`.
"""
