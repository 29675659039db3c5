"""Experiments on how the public reproduction of Assouel et al. departed from the paper."""
