"""Claims of papers on how vision-language models bind features to objects, as tests run against models."""

__version__ = "0.1.0"
