"""What happens to a job: intake, generation, settlement, recovery."""
