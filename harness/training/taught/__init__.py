"""Controls whose three stages are trained in, at heads that are chosen beforehand.

`recipes` says what each is taught. `groups` draws scenes that differ in one thing, `sheets` lays them out as
tensors, `decoder` runs a language model with patches of heads that gradients pass through, `scaffold` and
`lessons` are the losses, and `teacher` trains. `truth` measures by plain `hooks` what came out, and `shipping`
writes it down.
"""
