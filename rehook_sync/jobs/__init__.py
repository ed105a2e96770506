"""What the job does: runs, plans, audits, explanations, upkeep."""
