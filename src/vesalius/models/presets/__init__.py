"""Frameworks that `command:` knows by name: their folders, label maps and command lines; one a file."""
