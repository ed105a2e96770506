"""What operators and hooks have in common."""
