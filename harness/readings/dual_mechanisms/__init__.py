"""Readings of the experiments of Cui et al., "The dual mechanisms of spatial variable binding"."""
