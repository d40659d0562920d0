"""What is predicted: from what users pass as targets and weights to what training needs."""
