"""``python -m mien``: the command."""

from mien.cli import main

main()
