"""Pixel work in child processes: limited in memory and time, apart for each picture."""
