"""Models under test.

`registry` reads fixtures/subjects.toml, `anatomy` knows where layers, heads and image tokens live in each
family, `loading` makes a subject from a folder or a repository, `subject` encodes trials into batches.
"""
