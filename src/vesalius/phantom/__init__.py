"""Synthetic hospitals: the offline world of the demo and the tests. Segmenters never import it."""
