"""`python -m vesalius`: the command line, where no script is on the path."""

from vesalius.cli import main

main()
