"""Training of expression models: recipes, the loop, fine-tuning, export."""
