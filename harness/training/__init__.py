"""How the embedded subjects are made.

`vocabulary` builds the tokenizer, `architectures` the untrained models with their processors, `tasks`
draws scenes and prompts, `packing` lays several prompts behind one image, `trainer` runs and resumes,
`evaluation` scores every task on held-out scenes, `card` writes down what came of it.
"""
