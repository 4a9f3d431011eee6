"""Each rule: what it must drop, what it must keep, what it edits."""

import pytest

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.filters import Drop, Page, feedback
from vesalius.corpus.filters import feedback_ends as ends
from vesalius.corpus.filters import feedback_phrases as phrases
from vesalius.corpus.filters import feedback_shape as shape

BODY = (
    "Mortality at 28 days was lower in the treated group than in the control group (12.3% v. 18.1%; P < 0.05), and the "
    "difference remained after adjustment for age, sex and the severity of illness on admission (Smith et al., 2012)."
)
# Journal text that no rule may touch, wherever it stands between other paragraphs.
JOURNAL = [
    BODY,
    "The lion's share of the variance was explained by what the raters had in common, which they did not share.",
    "Patients whose tumours behaved like controls were, in this respect, what the earlier cohorts looked like",
    "Services",
    "A positive Babinski sign in both feet was found on the second day.",
    "Services for stroke were reorganised in London in 2010, with hyperacute units in eight hospitals.",
    "Looking for determinants of survival, we fitted a Cox model with the covariates of Table 2.",
    "We searched YouTube and Google+ for videos about inhalers, and rated the first fifty.",
    "Each patient received 12.30 mg of the drug at baseline, and 2.30 mg a day afterwards.",
    "Serum was diluted 1:10 in buffer and read at 450 nm.",
    "The mean height was 1.65 m in women.",
    "By contrast, the placebo group did not improve.",
    "By Day 7, nine of the ten mice had died.",
    "By December, all animals had been killed.",
    "The trial began on May 3, 2013.",
    "Patients were enrolled from March 1, 2012, to June 30, 2014, at eleven hospitals in Denmark.",
    "As in earlier work, tumours were staged by two pathologists (cf. Fig. 2)",
    "Anal canal pressure was measured by manometry before and after anal sphincter repair.",
    "[18F]FDG uptake was higher in the lesion than in the contralateral breast.",
    "The reference standard was histology in all patients, read blind to the images.",
    "The study was sponsored by the manufacturer, which had no part in the analysis.",
    "Compound 64-17-5 was bought from Sigma and used as it was, at 10 mM in water.",
    "For more information, see the Supplementary Methods and Table S3.",
    "For details on the statistics, see the Methods of the companion paper.",
    "Guidelines published by the society advise against it in pregnancy, and so do we.",
    "Data are available at https://zenodo.org/record/12345 under a licence of CC BY 4.0.",
    "Special thanks are due to the nurses who collected the samples at night.",
    "We hope that surgeons learn more about this rare condition.",
    "Published data on the incidence of sepsis in children are few, and from a few countries only.",
    "Originally described in 1890, the reflex was published by Babinski in 1896, and by others after him.",
    "P < 0.05",
    "n = 12",
    "\\frac{a}{b} + \\sqrt{c}",
    "Figure 3. MR image of the knee",
    "Figure 3. Source: own data.",
    "Table 2",
    "(A) Before. (B) After treatment (n = 5).",
    "MRI | CT | PET",
    "12 | 34 | 56",
    "- MRI",
    "- aspirin",
    "- Age, sex and body mass index",
    "Inclusion criteria were:",
    "ATGCGTACGTTAGCTAGCTAACGT GGCATCGATCGATTACGGATC",
    "Comments by the reviewers led us to repeat the analysis without the outlier, with the same result.",
    "The paper (DOI 10.1371/journal.pone.0046493) reported a share of 0.82 with an e-mail survey.",
]
JOURNAL.remove("Services")  # alone on a line it is a link of a site; as a heading and in a sentence it stays


def page(*parts: str | Image, before: bool = True, after: bool = True) -> Document:
    return Document("d", ((BODY,) if before else ()) + parts + ((BODY,) if after else ()))


def verdict(rule, *parts, at: int = 0, before: bool = True, after: bool = True):
    """Of a rule about the paragraph at `at` of `parts`, which stand between two of body text."""
    document = page(*parts, before=before, after=after)
    paragraphs = {each.at: each for each in Page(document.parts).paragraphs()}
    paragraph = paragraphs[at + before]
    return rule.judge(paragraph) if paragraph.kind in rule.kinds else None


@pytest.mark.parametrize("text", JOURNAL)
def test_journal_text_is_kept_as_it_is(text):
    filtered = feedback.clean(page(text))
    assert filtered.changes == ()


@pytest.mark.parametrize(
    "title", ["Services", "Comment", "Reference standard", "Subscribe", "Any questions?", "RESULTS"]
)
def test_headings_of_journals_are_kept(title):
    assert feedback.clean(page(Heading(title, 2))).changes == ()


DROPPED = [
    (shape.Uppercase(), "CLICK HERE TO GET THE NEWS APP"),
    (shape.Uppercase(), "NISSAN SENTRA 2020"),
    (shape.Numerical(), "12 34 56 78"),
    (shape.Numerical(), "2012 2013 2014"),
    (shape.TooShort(), "Photo gallery"),
    (shape.TooShort(), "Menu"),
    (shape.AberrantItem(), "- A B C D E F G"),
    (shape.AberrantItem(), "- Things to do in Basel"),
    (phrases.DownloadLinks(), "The link is here: http://a.org/x"),
    (phrases.DownloadLinks(), "For details on the course, click here."),
    (phrases.SocialMediaCounter(), "3 likes"),
    (phrases.SocialMediaCounter(), "1.2k followers, 12 comments"),
    (phrases.SocialMedia(), "Share this article on Facebook"),
    (phrases.SocialMedia(), "comments"),
    (phrases.SocialMedia(), "Most read in world news"),
    (phrases.SocialMedia(), "Follow Newsbeat on Instagram, Facebook, Twitter and YouTube."),
    (phrases.SocialMedia(), "Like this story? Share it with a friend!"),
    (phrases.SocialMedia(), "Sign up for our weekly newsletter to have it all."),
    (phrases.SocialMedia(), "For more information, visit www.hospital.org or call us."),
    (phrases.Short(), "Sign in to continue"),
    (phrases.Short(), "Already a member? Please sign in."),
    (phrases.Short(), "2 items in your cart"),
    (phrases.Short(), "Ten ways to lower your pressure Read more..."),
    (phrases.Adult(), "Free porn videos and hentai for everyone over eighteen."),
    (phrases.HeaderFooter(), "Home | About us | Contact us"),
    (phrases.HeaderFooter(), "Services"),
    (phrases.HeaderFooter(), "© 2012 Example Press Ltd. All rights reserved."),
    (phrases.HeaderFooter(), "Please enable JavaScript to view this page."),
    (phrases.ReadMore(), "Read more »"),
    (phrases.ReadMore(), "Click here to see the whole programme"),
    (
        phrases.ReadMore(),
        "READ MORE: Plague outbreak confirmed: two diagnosed with the disease in the capital",
    ),
    (phrases.ReadMore(), "Show More"),
    (phrases.ReadMore(), "Continue Reading"),
    (phrases.Url(), "https://www.example.org/articles/1234"),
    (phrases.Url(), "Ticketing www.example.org"),
    (phrases.Advertisement(), "Advertisement"),
    (phrases.Advertisement(), "Story continues below advertisement"),
    (phrases.Advertisement(), "Sponsored by Acme Vitamins"),
    (ends.SourceReferences(), "Special thanks to Jane Doe for the pictures."),
    (ends.SourceReferences(), "Published by Example Press in association with the museum"),
    (ends.SourceReferences(), "(Smith & Jones, 2012)"),
    (ends.SourceReferences(), "(cf. Fig. 2)"),
    (ends.SourceReferences(), "This article was originally published by Futurism. Read the original article."),
    (ends.SourceReferences(), "Originally published on Live Science."),
    (ends.Contact(), "— 9to5Mac.com (@9to5mac) November 4, 2019"),
    (ends.Contact(), "paul.takahashi@chron.com"),
    (ends.Contact(), "— Dave Weigel (@daveweigel)"),
    (ends.Contact(), "Jet Propulsion Laboratory, Pasadena 818-393-6215"),
    (
        ends.Contact(),
        "To make an appointment at our clinic for you or your family, please call (312) 555-0123 on weekdays.",
    ),
    (ends.Dateline(), "Last Updated: 16/07/13 5:22pm"),
    (ends.Dateline(), "Published on November 30, 2015"),
    (ends.Dateline(), "UPDATED: Tue., Nov. 19, 2019"),
    (ends.Dateline(), "Orange, CA (PRWEB) July 30, 2012"),
    (ends.Dateline(), "Received: 12 May 2012; Accepted: 3 June 2012"),
    (ends.Byline(), "By Jane Doe, BBC News"),
    (ends.Byline(), "Written by Jane van der Doe"),
    (ends.Byline(), "(Photo: Jane Doe)"),
]


@pytest.mark.parametrize(
    ("rule", "text"), DROPPED, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_what_a_site_says_is_dropped_by_its_rule(rule, text):
    assert isinstance(verdict(rule, text), Drop)


@pytest.mark.parametrize(("_rule", "text"), DROPPED, ids=lambda value: value if isinstance(value, str) else "")
def test_all_rules_together_drop_it_too(_rule, text):
    assert feedback.clean(page(text)).document.texts == (BODY, BODY)


@pytest.mark.parametrize(
    ("rule", "text", "left"),
    [
        (shape.Newlines(), "the mean of\nthe group", "the mean of the group"),
        (shape.Newlines(), "It ended.\nThe next began", "It ended.\nThe next began"),
        (shape.Newlines(), "one\n\ntwo", "one\ntwo"),
        (shape.Underlines(), "a " + "_" * 15 + " b " + "_" * 20 + " c", "a \n b \n c"),
        (shape.Video(), "See the operation [Video] in full.", "See the operation in full."),
        (phrases.ReadMore(), BODY + " Read more »", BODY),
        (phrases.ReadMore(), BODY + " Click here for more information.", BODY),
        (phrases.ReadMore(), "It was found in two … Continue reading", "It was found in two …"),
    ],
)
def test_edits(rule, text, left):
    assert verdict(rule, text) == left


def test_pieces_split_at_underscores_keep_their_order():
    parts = "First words of the form." + "_" * 20 + "Second words of the form." + "_" * 20 + "Third words of the form."
    assert feedback.clean(page(parts)).document.texts[1:-1] == tuple(
        f"{number} words of the form." for number in ("First", "Second", "Third")
    )


@pytest.mark.parametrize("text", ["Radiograph", "CHEST RADIOGRAPH, DAY 2 OF STAY", "12 34 56"])
def test_what_stands_beside_an_image_is_spared_for_its_form(text):
    assert feedback.clean(page(Image("a.png"), text)).changes == ()


@pytest.mark.parametrize(
    "text", ["Photo: Getty Images", "Image credit: J. Doe", "Download high-resolution image", "Source: AFP"]
)
def test_credits_go_beside_an_image_only(text):
    rule = phrases.ImageCaption()
    assert isinstance(verdict(rule, Image("a.png"), text, at=1), Drop)
    assert verdict(rule, text) is None


@pytest.mark.parametrize(
    "text", ["Axial CT image of the liver", "Loaded needle in the phantom", "Figure 2. Source image"]
)
def test_captions_with_the_same_words_are_kept(text):
    assert verdict(phrases.ImageCaption(), Image("a.png"), text, at=1) is None


class TestHeads:
    def kept(self, *parts):
        return [str(text) for text in feedback.clean(Document("d", parts)).document.texts if isinstance(text, Heading)]

    def test_without_body_they_go(self):
        assert self.kept(Heading("T", 1), BODY, Heading("Empty", 2), Heading("Full", 2), BODY, Heading("Last", 2)) == [
            "T",
            "Full",
        ]

    def test_a_subsection_before_a_section_goes(self):
        assert self.kept(Heading("T", 1), BODY, Heading("Sub", 3), Heading("Full", 2), BODY) == ["T", "Full"]

    def test_a_section_that_begins_with_a_subsection_stays(self):
        assert self.kept(Heading("T", 1), Heading("Methods", 2), Heading("Sub", 3), BODY) == ["T", "Methods", "Sub"]

    def test_an_image_is_a_body(self):
        document = Document(
            "d", (Heading("T", 1), BODY, Heading("Figures", 2), Image("a.png"), Heading("More", 2), BODY)
        )
        assert feedback.clean(document).changes == ()


class TestFullText:
    def test_unfinished_first_and_last_paragraphs_go(self):
        document = Document(
            "d", (Heading("Title"), "News of the day at our site", BODY, "More from our network of sites")
        )
        assert feedback.clean(document).document.texts == ("Title", BODY)

    def test_the_last_sentence_is_cut_where_it_breaks_off(self):
        document = Document("d", (BODY, "All patients gave consent (Fig. 2). The authors thank Dr. Smith and"))
        assert feedback.clean(document).document.texts[-1] == "All patients gave consent (Fig. 2)."

    @pytest.mark.parametrize("end", [".", ".”", ".)", ". [12,13]", ".12,13", "!", ":", "…"])
    def test_a_finished_end_stays(self, end):
        document = Document("d", (BODY, "The first result is known. The second was as the first had been" + end))
        assert feedback.clean(document).changes == ()

    def test_tables_and_captions_at_an_end_stay(self):
        for last in ("age | 12 | 13", "Figure 3. Survival in days since admission to the ward", "- no known allergies"):
            assert feedback.clean(Document("d", (BODY, last))).changes == ()


class TestReferences:
    ENTRIES = tuple(
        f"[{n}] Smith J, Doe A. A study of the liver in mice. J Hepatol. 2012;{n}:1–9." for n in range(1, 9)
    )

    def test_entries_at_the_end_go(self):
        filtered = feedback.clean(Document("d", (BODY,) * 5 + self.ENTRIES))
        assert filtered.document.texts == (BODY,) * 5

    def test_a_paragraph_of_the_text_that_begins_so_stays(self):
        text = "[12] reported the same in rats, and so did we in the present study of mice."
        filtered = feedback.clean(Document("d", (BODY, text, BODY, BODY, *self.ENTRIES)))
        assert filtered.document.texts == (BODY, text, BODY, BODY)

    @pytest.mark.parametrize("heading", ["References", "REFERENCES", "7. References", "Bibliography", "References:"])
    def test_all_under_the_heading_goes_and_what_follows_stays(self, heading):
        entry = "Smith J, Doe A. A study of the liver in mice. J Hepatol. 2012;3:1–9."
        parts = (BODY, Heading(heading, 2), entry, entry, Heading("Figure legends", 2), BODY)
        assert feedback.clean(Document("d", parts)).document.texts == (BODY, "Figure legends", BODY)

    def test_a_plain_line_is_believed_in_the_second_half_only(self):
        entry = "Smith J, Doe A. A study of the liver in mice. J Hepatol. 2012;3:1–9."
        assert verdict(ends.References(), "References", entry, BODY, BODY, BODY) is None
        assert feedback.clean(Document("d", (BODY, BODY, BODY, "References", entry))).document.texts == (BODY,) * 3


def test_a_last_bracket_goes_and_a_panel_legend_stays():
    notice = "(Except for the headline, this story has not been edited by our staff and is from a syndicated feed.)"
    assert feedback.clean(page(notice, after=False)).document.texts == (BODY,)
    assert feedback.clean(page(notice)).changes == ()
    legend = "(a) Before and (b) after treatment (n = 5)"
    assert feedback.clean(page(legend, after=False)).changes == ()


def test_readers_comments_go_with_their_heading():
    parts = (
        BODY,
        Heading("12 Comments", 3),
        "Great post, thank you so much for sharing it with us!",
        "I do not agree at all.",
    )
    assert feedback.clean(Document("d", parts)).document.texts == (BODY,)


def test_an_invitation_to_follow_is_cut_off_the_end_and_no_sentence_of_a_paper_is_taken_for_one():
    end = " Follow him on Twitter @jane_doe. Follow us on Twitter @Spacedotcom or Facebook."
    assert verdict(phrases.SocialMedia(), BODY + end) == BODY
    for text in (
        "We asked whom subjects follow on Twitter.",
        BODY + " Those who follow a clinic on Twitter were asked.",
    ):
        assert verdict(phrases.SocialMedia(), text) is None


def test_one_adult_word_in_a_long_paragraph_is_no_reason():
    assert verdict(phrases.Adult(), BODY + " Use of porn was asked for.") is None


@pytest.mark.parametrize("rule", feedback.RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize(
    "text", ["", " ", "(", "((" * 2000, "a" * 20000, "@" * 5000, "1-" * 5000, ". " * 5000, "by " * 3000, "| " * 3000]
)
def test_hostile_paragraphs_take_no_time(rule, text):
    assert isinstance(verdict(rule, text), Drop | str | None)
