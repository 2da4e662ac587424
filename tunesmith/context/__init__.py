"""What a model is shown with a question: examples, and documents that are found."""
