"""Experiments of Assouel et al. (ICLR 2026), one file each."""
