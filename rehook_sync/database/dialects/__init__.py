"""What each kind of warehouse is, as data: one module for one record."""
