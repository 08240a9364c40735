"""One folder for each external system. The ports they implement are in `core`."""
