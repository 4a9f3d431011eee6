"""The nouns of the house and their forms on disk: Part, Message, Question, Sample, Answer, Score.

Knows the Parquet schemas and the Hugging Face chat form. Leaves what a payload contains to `media/`, what a benchmark
asks to `bench/`, and where things are written to whoever calls.
"""

import polars as pl

# One row of the one long table. `value` is null where there is nothing to score; `status` is one word (below), and
# `reason` the sentence for a person where the status is not "ok".
SCORE_SCHEMA = pl.Schema(
    {
        "benchmark": pl.String,
        "model": pl.String,
        "case": pl.String,
        "metric": pl.String,
        "target": pl.String,
        "value": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
        "seconds": pl.Float64,
    }
)

# ok            scored
# both_empty    neither reference nor prediction has the structure
# missed        the reference has it, the prediction does not
# hallucinated  the prediction has it, the reference does not
# failed        the prediction is missing, unreadable or on another grid: `value` is what an empty one would get
# unscorable    the reference itself is missing or unreadable: nobody can be scored
STATUSES = ("ok", "both_empty", "missed", "hallucinated", "failed", "unscorable")
