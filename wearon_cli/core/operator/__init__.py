"""Operator tools: inspect, replay, reconcile, order."""
