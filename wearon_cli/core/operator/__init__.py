"""What operators ask and do: inspect, replay, reconcile, order."""
