"""Who answers: for now classical segmenters, which learn from a few labelled volumes and need no GPU."""
