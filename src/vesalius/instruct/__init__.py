"""Labels and reports → samples: questions out of labelled sets, balanced so that words alone answer none."""
