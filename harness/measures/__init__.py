"""Numbers from arrays, without a model.

`similarity` compares which items a model represents alike with which are alike in the scenes (RSA),
`components` looks at two principal components and whether labels separate there, `mediation` scores one
head's patch and ranks heads, `partial` takes a third variable out of a correlation, `probes` reads labels.
Inputs of any float type are computed in float64; numpy and scipy only.
"""
