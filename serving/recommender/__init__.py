"""The recommender's arithmetic on plain arrays: the same code in training, batch and the API."""
