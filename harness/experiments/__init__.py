"""Experiments: each runs a subject on scenes and returns a measurement, an `xarray.Dataset`.

One file per experiment, in one folder per paper. `catalogue` lists them; what several of them share lies
beside it: `editing` and `pushes` edit activations, `patching` scores single heads, `answers` reads text,
`halves`, `targets` and `correlating` read trials. `harness.measuring` runs experiments and keeps what they
measured; a file of the same name in `harness.readings` turns a measurement into estimates with intervals.
"""
