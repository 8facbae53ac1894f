"""One benchmark of mien and its peers, each in an environment of its own."""
