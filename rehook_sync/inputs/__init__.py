"""What people write as settings, and the files it stands in."""
