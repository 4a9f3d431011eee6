"""SAM-Med3D's trainings: a warm-up without clicks, the foundation, an expert on it, and the gate that joins them."""

import transformers

transformers.utils.logging.disable_progress_bar()  # the trainer and its driver show progress of their own
