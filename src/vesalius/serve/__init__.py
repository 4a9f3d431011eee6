"""Pages that need a server on this machine: `view`, a volume that is clicked on."""
