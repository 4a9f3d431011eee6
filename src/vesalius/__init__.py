"""Vesalius: a workbench that builds, judges and uses medical AI. See README.md for the tree of the house."""

__version__ = "0.1.0"
