"""VQA-RAD's questions → samples: clinicians' questions on radiology images, yes/no and open.

    [{"qid", "image_name", "image_organ", "answer", "answer_type", "question_type", "question", "phrase_type"}]

Each question keeps its own type: yes or no where that is the answer, else open, closed ones with other answers too
("Smaller", "Maybe"). Spelling variants of `question_type` are brought together; of two, the first is the one that the
tree uses. Modality is no column of the file, and "unknown". The official training and test sets share images.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.formats.questions import Places, objects, sample
from vesalius.records import Part, Sample

TREE = ("image_organ", "question_type")
CLUSTER = "image_name"
_SPELLED = {"ATRIB": "ATTRIB", "PRSE": "PRES", "ATTRIBUTE": "ATTRIB", "PRESENCE": "PRES", "POSITION": "POS"}
_KEPT = ("image_name", "image_organ", "answer_type", "phrase_type", "phrase")


def fits(head: Mapping[str, Any]) -> bool:
    """Whether the first object is VQA-RAD's."""
    return {"image_name", "question", "answer", "question_type"} <= {key.lower() for key in head}


def read_json(path: Path, places: Places) -> Iterator[Sample]:
    """Items in the file's order; the id is `qid`."""
    for number, raw in enumerate(objects(path)):
        item = {key.lower(): value for key, value in raw.items()}
        kinds = [
            _SPELLED.get(word, word) for word in (w.strip().upper() for w in str(item["question_type"]).split(","))
        ]
        metadata = {key: str(item[key]).strip() for key in _KEPT if item.get(key) not in (None, "")}
        metadata |= {
            "question_type": kinds[0],
            "all_question_types": ", ".join(kinds),
            "modality": item.get("modality", "unknown"),
        }
        image = Part.of("image", places.find(str(item["image_name"])))
        answer = str(item["answer"]).strip()
        yield sample(str(item.get("qid", number)), str(item["question"]), (), answer, [image], metadata)
