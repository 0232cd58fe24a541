"""Tables of finished trainings: what a table is, and how each published format is read."""
