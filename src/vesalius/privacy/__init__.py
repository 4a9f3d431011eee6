"""Identifiers of patients out of text, and text that is burnt into images.

    scrubber = Scrubber()
    scrubber.find("Mr. John Smith, DOB 03/04/1961")     # [Finding("name", 4, 14, …), Finding("date of birth", …)]
    scrubber.scrub("Call Mrs. Lee at 020 7946 0958").text   # "Call Mrs. [NAME] at [PHONE]"
    for scrubbed in scrubber.scrub_many(texts): ...     # thousands of paragraphs, each on its own
    scrubber.scrub_together(paragraphs)                 # one document: a name found once is found everywhere

    burnt_in(pixels)                                    # boxes of text in an image, words unread

Knows strings and arrays; documents, files and what becomes of a flagged image are for others. Nothing here uses a
network. Needs `pip install 'vesalius[privacy]'`.
"""

from vesalius.privacy.burnt_in import TextBox, burnt_in
from vesalius.privacy.findings import KINDS, Finding, Scrubbed, placeholder
from vesalius.privacy.scrubber import MODEL, Scrubber

__all__ = ["KINDS", "MODEL", "Finding", "Scrubbed", "Scrubber", "TextBox", "burnt_in", "placeholder"]
