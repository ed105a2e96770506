"""What decides: Rehook's rules, the bodies it gets, how far a watermark moves. Pure."""
