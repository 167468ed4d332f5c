"""Plain estimators without any learning: what a trained model must beat."""
