"""The report: one self-contained page about the last run of each job under a root."""
