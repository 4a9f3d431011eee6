"""Torch architectures: a file or folder a family, each to be read beside its paper. Nothing here reads a data set."""
