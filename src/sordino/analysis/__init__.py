"""What the layers of a model know: states, musical attributes, how well one tells the other."""
