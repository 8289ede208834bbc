"""Curate training data for vision-language models that can point."""

__version__ = "0.1.0"
