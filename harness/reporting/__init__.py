"""Show the records of a run: as a scorecard, on a terminal, as XML, on a page, and against a baseline.

`scorecard` puts the records of a run together, corrects them for multiplicity and finds what was collected but
not judged. `terminal`, `junit` and `page` show a scorecard as text, XML and HTML; `writing` writes a whole
folder. `forest` lays out the page's interval plots, `figures` and `interventions` draw measurements, and
`wording` holds the words and numbers that all of them print. `compare` says what a run lost against a baseline,
`gate` prints that. Nothing here decides a verdict, except that the correction can take one back.
"""
