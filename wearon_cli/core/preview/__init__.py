"""The preview: a garment laid on a person's photo, offline, marked as a composite."""
