"""From numbers to verdicts, without a model.

`claim` states what a paper says and where the threshold comes from, `published` looks up the
paper's own numbers, `verdict` is the one place where an estimate meets a threshold, `record` keeps
the result on disk.
Nothing here knows torch, transformers, nnsight or pytest.
"""
