"""One run of the suite: its options, subjects, journal and baselines, and the scorecard that it ends with."""
