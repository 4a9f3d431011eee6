"""Who answers: the protocol and its backends, how a question becomes a prompt, and classical segmenters."""

from vesalius.models.protocol import BACKENDS, Generation, Model, ModelUrl, open_model, parse_url

__all__ = ["BACKENDS", "Generation", "Model", "ModelUrl", "open_model", "parse_url"]
