"""Readings of the experiments on the public reproduction."""
