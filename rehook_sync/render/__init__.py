"""What each answer looks like: a document for programs, lines and tables for people."""
