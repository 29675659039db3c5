"""One run of the suite: its options, subjects, journal, baselines, and the scorecard it ends with."""
