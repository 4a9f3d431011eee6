"""Benchmarks: samples, the metrics that turn answers into scores, and everything that judges scores."""
