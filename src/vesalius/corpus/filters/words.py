"""Lists of words and phrases that the filters share; small letters. Leaves to the filters what follows from them."""

GOPHER_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
"""Of Gopher (arXiv 2112.11446, A1.1)."""

STOP_WORDS = GOPHER_STOP_WORDS | {"is", "are", "am"}
"""Those of OmniCorpus' document rule; its description names Gopher's, its code has is, are and am for be."""

FLAGGED = frozenset({
    "bdsm", "blowjob", "blowjobs", "bukkake", "camgirl", "camgirls", "camwhore", "cocksucking", "creampie", "cumshot",
    "cumshots", "cumming", "deepthroat", "dildo", "dildos", "doggystyle", "femdom", "footjob", "gangbang", "gangbangs",
    "handjob", "handjobs", "hentai", "horny", "horniest", "jizz", "milf", "milfs", "nsfw", "porn", "porno", "pornos",
    "pornhub", "pornstar", "pornstars", "redtube", "slut", "sluts", "slutty", "strapon", "xhamster", "xnxx", "xvideos",
    "xxx", "youporn",
})  # fmt: skip
"""Words of adult sites. Words of anatomy, of sexual medicine and of everyday English (anal, erotic, fingering,
masturbation, pegging, squirting, threesome, vibrator, dogging, cum), which the public list has, are not among them."""

STEMS = tuple(sorted(word for word in FLAGGED if not any(other != word and other in word for other in FLAGGED)))
"""A text without any of these has none of `FLAGGED`, and looking for them is faster than telling its words apart."""

POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
"""Of C4's code: lines that speak of them are no content."""

COUNTED = frozenset({
    "like", "likes", "follower", "followers", "following", "subscriber", "subscribers", "subscribes", "share", "shares",
    "comment", "comments", "dislike", "dislikes", "view", "views", "retweet", "retweets", "reply", "replies",
    "favorite", "favorites", "reaction", "reactions", "vote", "votes",
})  # fmt: skip
"""What social media count."""

NAVIGATION = frozenset({
    "about us", "advertise", "all rights reserved", "any questions?", "back to top", "call us", "careers",
    "cite this article", "contact information", "contact us", "cookie policy", "cookies", "download citation",
    "download pdf", "download powerpoint", "download slide", "email", "export citation", "facebook", "faq", "google+",
    "google scholar", "help", "home", "instagram", "linkedin", "log in", "login", "login and registration",
    "looking for", "menu", "more information", "open in a new tab", "open in new tab", "our services", "pdf",
    "pinterest", "print", "privacy", "privacy policy", "recommended articles", "register", "related articles", "search",
    "services", "share this article", "share this page", "sign in", "sign up", "site map", "sitemap",
    "skip to content", "skip to main content", "subscribe", "terms and conditions", "terms of service", "terms of use",
    "top image", "twitter", "view details", "view in pubmed", "view large", "want more", "watch on youtube", "whatsapp",
    "youtube",
})  # fmt: skip
"""Lines that are links of a site, whole."""

FURNITURE = (
    "we appreciate your help to end bad business websites",
    "subscribe to receive",
    "subscribe to our newsletter",
    "sign up for our newsletter",
    "please contact us through our contact us page",
    "how do i login to",
    "there are no reviews yet",
    "be the first to review",
    "thank you so much for reading",
    "all rights reserved",
    "enable javascript",
    "javascript is disabled",
    "this site uses cookies",
    "this website uses cookies",
    "powered by wordpress",
    "your email address will not be published",
)
"""Phrases of headers and footers that no article has in its text."""
