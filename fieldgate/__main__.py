"""`python -m fieldgate`: the command without its script."""

from fieldgate.cli import main

main()
