"""Scenes x subject -> Measurement: one file per experiment of the papers.

`behaviour` asks whether a subject does the task at all, `similarity` is RSA over layers, `components` is
PCA of the last token, `mediation` patches one head at a time. `measuring` runs them, `store` keeps what
they measured. A measurement is an `xarray.Dataset`; beside each experiment stands its reading, which
turns the arrays into estimates with intervals.
"""
