"""What the job does: runs, plans, audits, explanations, checks, maintenance."""
