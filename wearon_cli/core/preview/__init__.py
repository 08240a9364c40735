"""The preview: a garment placed on a person's photo, made offline and marked as a composite."""
