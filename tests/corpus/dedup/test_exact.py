from vesalius.corpus.dedup import RepeatedParagraphs, count_paragraphs, frequent, site
from vesalius.corpus.document import Document, Heading, Image

MENU, SHARE = "Home | News | About us", "Share this page!"


def pages(number: int = 10, host: str = "https://www.clinic.example") -> list[Document]:
    return [
        Document(
            f"{host}/{i}",
            (Heading("Side effects", 2), MENU, f"The text of page {i}, and of no other.", Image("a.png"), "***", SHARE),
        )
        for i in range(number)
    ]


def rule(*shards: list[Document], folder, **options) -> RepeatedParagraphs:
    return RepeatedParagraphs(frequent(map(count_paragraphs, shards), folder, least=3), **options)


def test_what_a_site_repeats_goes_and_its_own_text_images_and_short_headings_stay(tmp_path):
    documents = pages()
    repeated = rule(documents[:4], documents[4:], folder=tmp_path)
    for document in documents:
        left, gone = repeated.remove(document)
        assert gone == [MENU, SHARE]
        assert left.parts == (document.parts[0], *document.parts[2:5])
        assert isinstance(left.parts[0], Heading)


def test_long_headings_that_a_site_repeats_go_too(tmp_path):
    documents = pages()
    _, gone = rule(documents, folder=tmp_path, heading_words=1).remove(documents[0])
    assert gone == ["Side effects", MENU, SHARE]


def test_a_heading_stays_where_the_same_words_as_a_paragraph_go(tmp_path):
    parts = (Heading("Read more", 2), "Read more")
    documents = [Document(f"https://a.example/{i}", parts) for i in range(5)]
    left, gone = rule(documents, folder=tmp_path).remove(documents[0])
    assert left.parts == parts[:1] and gone == ["Read more"]


def test_another_sites_paragraphs_are_another_matter(tmp_path):
    stranger = Document("https://other.example/1", (MENU, SHARE))
    _, gone = rule(pages(), [stranger], folder=tmp_path).remove(stranger)
    assert gone == []


def test_a_small_share_of_a_site_stays_until_the_number_is_reached(tmp_path):
    few = [Document(f"https://a.example/{i}", (f"Page {i}", *(("Now on sale",) if i < 25 else ()))) for i in range(100)]
    assert rule(few, folder=tmp_path).remove(few[0])[1] == ["Now on sale"]
    assert rule(few, folder=tmp_path, number=30).remove(few[0])[1] == []
    assert rule(few, folder=tmp_path, number=30, share=0.2).remove(few[0])[1] == ["Now on sale"]


def test_two_pages_of_a_site_are_too_few_to_call_a_paragraph_repeated(tmp_path):
    documents = pages(2)
    counts = frequent([count_paragraphs(documents)], tmp_path)
    assert RepeatedParagraphs(counts).remove(documents[0])[1] == []


def test_documents_without_a_site_are_left_alone(tmp_path):
    documents = [Document(f"10.1000/{i}", (MENU,)) for i in range(9)]
    assert rule(documents, folder=tmp_path).remove(documents[0]) == (documents[0], [])


def test_the_site_is_the_host_of_the_fact_url_or_else_of_the_id():
    assert site(Document("x", (), {"url": "http://www.Clinic.example:8080/a"})) == "clinic.example"
    assert site(Document("https://b.example/a", ())) == "b.example"
    assert site(Document("10.1000/182", ())) == site(Document("http://[broken", ())) == ""
