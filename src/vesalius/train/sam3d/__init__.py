"""SAM-Med3D's three trainings: the foundation, an expert on it, and the gate that joins them."""

import transformers

transformers.utils.logging.disable_progress_bar()  # the trainer and its driver show progress of their own
