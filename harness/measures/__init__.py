"""Numbers from arrays, without a model.

`similarity` compares what a model holds alike with what is alike in the scenes (RSA), `components`
looks at two principal components and whether labels separate there, `mediation` scores one head's
patch and ranks heads. Inputs of any float type are computed in float64; numpy and scipy only.
"""
