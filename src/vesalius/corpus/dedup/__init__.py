"""Deduplication: documents that say the same, paragraphs that a site repeats, images that show the same.

    estimate(documents).check(folder, memory)              # disk and memory, before anything is done
    summary = duplicates(sign(documents), folder)          # clusters.parquet: who is in which, who is kept

    counts = frequent(map(count_paragraphs, shards), folder, least=3)
    document, gone = RepeatedParagraphs(counts).remove(document)

    hashes = hash_image(data)                              # of bytes, and to the eye
    repeated_images(of_a_document), near_images(of_all), frequent(map(count_images, shards), folder)

Knows documents in memory and folders for temporary files; recipes, shards and machines are for others.
"""

from vesalius.corpus.dedup.cluster import ClusterGroups
from vesalius.corpus.dedup.clusters import Estimate, duplicates, estimate
from vesalius.corpus.dedup.counts import Counts, frequent
from vesalius.corpus.dedup.disk import Groups
from vesalius.corpus.dedup.exact import RepeatedParagraphs, count_paragraphs, site
from vesalius.corpus.dedup.images import (
    ImageHashes,
    count_images,
    hash_image,
    image_key,
    near_images,
    perceptual_hash,
    repeated_images,
)
from vesalius.corpus.dedup.report import Summary
from vesalius.corpus.dedup.signatures import Scheme, Signed, digest, gram_hashes, normal_form, sign

__all__ = [
    "ClusterGroups",
    "Counts",
    "Estimate",
    "Groups",
    "ImageHashes",
    "RepeatedParagraphs",
    "Scheme",
    "Signed",
    "Summary",
    "count_images",
    "count_paragraphs",
    "digest",
    "duplicates",
    "estimate",
    "frequent",
    "gram_hashes",
    "hash_image",
    "image_key",
    "near_images",
    "normal_form",
    "perceptual_hash",
    "repeated_images",
    "sign",
    "site",
]
