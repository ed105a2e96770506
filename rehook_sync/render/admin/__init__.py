"""What the commands look like that an operator needs once."""
