"""The commands of ``mien``, a file each."""
