"""Measuring a body from a photo."""
