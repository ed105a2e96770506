"""The decisions: Rehook's rules, request bodies, watermarks. Pure."""
