"""Licences by one name: addresses, short names, and sentences as publishers write them."""

import pytest

from vesalius.corpus.licences import licence_name

PLOS = (
    "This is an open-access article distributed under the terms of the Creative Commons Attribution License, which "
    "permits unrestricted use, distribution, and reproduction in any medium, provided the original author and source "
    "are credited."
)
PLOS_0 = (
    "This is an open-access article, free of all copyright, and may be freely reproduced, distributed, transmitted, "
    "modified, built upon, or otherwise used by anyone for any lawful purpose. The work is made available under the "
    "Creative Commons CC0 public domain dedication."
)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("http://creativecommons.org/licenses/by/2.0", "CC-BY-2.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "PUBLIC-DOMAIN"),
        ("CC BY", "CC-BY"),
        ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        ("CC BY-NC-ND 4.0", "CC-BY-NC-ND-4.0"),
        ("CCBY", "CC-BY"),
        ("CC0 1.0", "CC0-1.0"),
        (PLOS, "CC-BY"),
        (PLOS_0, "CC0"),
        ("licensed under a Creative Commons Attribution 4.0 International License, which permits", "CC-BY-4.0"),
        ("under the Creative Commons Attribution Non-Commercial License 3.0", "CC-BY-NC-3.0"),
        ("Creative Commons Attribution-NonCommercial-No Derivatives License 4.0 (CCBY-NC-ND)", "CC-BY-NC-ND-4.0"),
        ("Creative Commons Attribution–Noncommercial–Share Alike 3.0 Unported License", "CC-BY-NC-SA-3.0"),
        ("Creative Commons Attribution License, which permits non-commercial use", "CC-BY-NC"),
        ("Creative Commons Attribution License, for commercial and non-commercial purposes", "CC-BY"),
        ("All text from EHP lies in the public domain", "PUBLIC-DOMAIN"),
        ("Apache License 2.0", "APACHE-LICENSE-2.0"),
        ("© 2019 The Authors. All rights reserved.", "©-2019-THE-AUTHORS.-ALL-RIGHTS-RESERVED."),
        ("by ACC 0.5 and CCC", "BY-ACC-0.5-AND-CCC"),
        ("", ""),
    ],
)
def test_licences_have_one_name(said, name):
    assert licence_name(said) == name
