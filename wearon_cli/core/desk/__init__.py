"""What operators ask: story, replay, reconcile, checks."""
