"""Numbers with intervals that cluster by scene; nothing here knows of thresholds or verdicts.

`estimate` has proportions, means and their intervals, `shares` has differences and sums of shares, `draws`
makes estimates of bootstrap draws, `clusters` numbers the scenes of items, `halves` splits trials in two,
`evidence` holds the data behind an estimate, `paired` estimates changes between runs, `looks` shares out errors
where trials are added until a claim is settled.
"""
