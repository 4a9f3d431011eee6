"""Media: open, window, render; one payload a file."""
