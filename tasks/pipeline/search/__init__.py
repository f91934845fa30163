"""Search the best recipe: plan, then in rounds suggest, train and gather trials, and report."""
