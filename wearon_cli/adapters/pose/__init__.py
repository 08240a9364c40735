"""MediaPipe, and the pose model it runs."""
