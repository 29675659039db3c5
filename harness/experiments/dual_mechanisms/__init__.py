"""Experiments of Cui et al., "The dual mechanisms of spatial variable binding" (arXiv 2603.22278)."""
