"""Numbers with intervals that cluster by scene; nothing here knows of thresholds or verdicts."""
