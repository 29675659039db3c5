"""Readings of the experiments of Assouel et al. (ICLR 2026)."""
