"""Stand-ins for warehouses that run in a cloud alone. Each says what it shows and what it cannot."""
