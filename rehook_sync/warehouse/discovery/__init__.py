"""What a Segment source looks like, found out."""
