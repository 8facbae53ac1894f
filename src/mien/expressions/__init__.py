"""Expression classifiers: squares in, a distribution over labels out."""
