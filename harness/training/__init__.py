"""Makes the embedded subjects and the controls.

`vocabulary` builds the tokenizer, `architectures` the untrained models with their processors, `tasks`
draws scenes and prompts, `packing` lays several prompts behind one image, `trainer` runs and resumes,
`evaluation` scores every task on held-out scenes, `card` writes the result down; `wired` writes the weights of
controls whose mechanism is known.
"""
