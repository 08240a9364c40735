"""Pixel work in child processes, with limits of memory and time for each picture."""
