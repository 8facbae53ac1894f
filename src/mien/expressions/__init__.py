"""Expression classifiers: face crops in, probabilities of labels out."""
