"""Training of classifiers of whole videos."""
