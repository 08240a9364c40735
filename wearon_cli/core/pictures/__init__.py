"""Pictures as files and as pixels: checked, prepared, verified."""
