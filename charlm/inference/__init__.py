"""What a trained model is for: scoring text, and writing it."""
