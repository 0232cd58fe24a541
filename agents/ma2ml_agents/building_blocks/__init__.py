"""Building blocks of learners: losses, policies, critics, replay, predictors, proposals."""
