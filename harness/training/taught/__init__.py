"""Controls whose three stages are trained in, at heads that are chosen beforehand.

`decoder` runs a language model with patches of single heads that gradients pass through, `groups` draws scenes
that differ in one thing, `lessons` turns them into losses, `recipes` says what each control is taught,
`teacher` trains, `truth` measures by plain hooks what came out, and `shipping` writes it down.
"""
