"""Layouts on disk and how they become cases: one layout a file."""
