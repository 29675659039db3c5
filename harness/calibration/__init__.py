"""Measure how often the suite is wrong, on subjects and data whose truth is known.

`calibrate` runs all parts and `summary` adds them up. `runs` judges controls and untrained subjects,
`localisation` looks for planted heads, `weakening` turns them down (`power_tables` writes docs/power.md),
and `coverage` simulates how often an interval holds the truth. `mutants` puts mistakes into `copies` of the
code, which the tests must find; the deep tests run it.
"""
