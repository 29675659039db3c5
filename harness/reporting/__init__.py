"""From records to something to read.

`scorecard` puts the records of a run together, corrects them for multiplicity and reconciles them
with what was collected; `terminal`, `junit` and `page` show a scorecard as text, XML and HTML, and
`writing` writes all that goes into a folder. `forest` lays out the page's interval plots, `figures`
draws measurements, `wording` holds the words and numbers that all of them print. Nothing here
decides a verdict, except that the correction can take one back.
"""
