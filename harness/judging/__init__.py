"""From numbers to verdicts, without a model.

`claim` states what a paper says and where the threshold comes from, `published` looks up the paper's own
numbers, `controls` the verdicts that controls must get; `verdict` is the one place where an estimate meets a
threshold; `record` and `evidence` keep on disk what came of it.
Nothing here knows torch, transformers, nnsight or pytest.
"""
