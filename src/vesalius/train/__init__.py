"""One trainer for every family of models: a recipe in YAML becomes a folder with weights, a card and a page."""
