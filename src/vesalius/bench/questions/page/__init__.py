"""The page of a report of questions: verdict, tree, tables, and a browser of single questions.

`facts` gathers what one benchmark's part shows, `verdict` says it in words, `tables` and `charts` show it, `browser`
and `thumbnails` write what the browser loads, `document` puts the page together, `files` lays all of it into a folder.
"""

from vesalius.bench.questions.page.files import write

__all__ = ["write"]
