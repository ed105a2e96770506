"""What an operator asks for once."""
