"""The rules. Nothing in here imports a vendor SDK: see docs/architecture.md."""
