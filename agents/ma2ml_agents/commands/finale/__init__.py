"""After the search of `ma2ml train`: finalists, the winner, its final training, and the time that they need."""
