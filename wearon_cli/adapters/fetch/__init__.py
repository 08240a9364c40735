"""Pictures from addresses that nobody trusts."""
