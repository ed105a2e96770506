"""A local Rehook for tests and trials, and a sample Segment warehouse to feed it from.

`server.Sandbox` runs the receiver inside a test, `server.serve` on the command line; `warehouse.build_shop` makes the data.
Floors: store | api, faults | admin, app | server; catalogue, tables | rows | warehouse.
"""
