"""A local Rehook for tests and trials. `server.Sandbox` runs it inside a test, `server.serve` on the command line."""
