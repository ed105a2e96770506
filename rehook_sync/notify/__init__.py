"""Telling people of runs: what they are told of, in which words, and by whom it is carried."""
