"""The preview: a garment laid on a person's photo, offline, honest about being a composite."""
