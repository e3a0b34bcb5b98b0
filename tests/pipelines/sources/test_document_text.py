"""What documents say: told from their bytes, with a reason where there is no text."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest
from given_documents import image, pdf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from pipelines.sources.document_text import MAX_TEXT, read_document

HTML = b"""<!DOCTYPE html><html><head><title>Milk</title><meta name="description" content="Fresh">
<style>p {color: red}</style><script>if (a < b) alert("x")</script></head>
<body><h1>Milk</h1><p>Fresh mil<b>k</b>, 1&nbsp;l &amp; more<br>cold</p><p>a<p>b
<script>track()</script><table><tr><td>fat<td>3 %</table></body></html>"""
HTML_TEXT = "Milk\nFresh milk, 1 l & more\ncold\na\nb\nfat\n3 %"
LATIN1_HTML = '<html><meta charset="iso-8859-1"><p>Käse</html>'.encode("latin1")
BASE64_HTML = b'<html><meta charset="base64"><p>\xff</html>'


@pytest.mark.parametrize(
    ("name", "data", "media_type", "text"),
    [
        ("a.txt", b" Milk\r\n", "text/plain", "Milk"),
        ("a.txt", b"\xef\xbb\xbfMilk", "text/plain", "Milk"),
        ("a.txt", "Käse".encode("utf-16"), "text/plain", "Käse"),
        ("a.txt", "Käse \U0001f9c0 \u202e".encode(), "text/plain", "Käse \U0001f9c0 \u202e"),
        ("a", b"GIF89a is a format, BM another", "text/plain", "GIF89a is a format, BM another"),
        ("a.png", b"no image", "text/plain", "no image"),
        ("a.MD", b"# Milk", "text/markdown", "# Milk"),
        ("a.json", b'\xef\xbb\xbf{"stars": 5}', "application/json", '{"stars": 5}'),
        ("a.html", HTML, "text/html", HTML_TEXT),
        ("a.txt", HTML, "text/html", HTML_TEXT),
        ("a.html", b"<p>Milk", "text/html", "Milk"),
        ("a.html", LATIN1_HTML, "text/html", "Käse"),
        ("a.pdf", pdf("Fresh milk"), "application/pdf", "Fresh milk"),
        ("a.txt", pdf("Fresh milk"), "application/pdf", "Fresh milk"),
        ("a.pdf", pdf("Fresh milk", password=""), "application/pdf", "Fresh milk"),
        ("a.jpg", image("JPEG", description="A cow"), "image/jpeg", "A cow"),
        ("a.webp", image("WEBP", description="A cow"), "image/webp", "A cow"),
        ("a.jpg", image("PNG", description="A cow"), "image/png", "A cow"),
    ],
)
def test_text_and_type_come_from_the_bytes(
    name: str, data: bytes, media_type: str, text: str
) -> None:
    content = read_document(name, data)
    assert (content.media_type, content.text, content.text_reason) == (media_type, text, None)


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", "a")
    return made.getvalue()


def huge_png(width: int) -> bytes:
    """An image that would take 3 * width * width bytes once decoded."""
    header = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(
    ("name", "data", "media_type", "reason"),
    [
        ("a.txt", b" \n", "text/plain", "no_text"),
        ("a.txt", "Käse".encode("latin1"), "text/plain", "not_utf8"),
        ("a.html", BASE64_HTML, "text/html", "not_utf8"),
        ("a.bin", b"\0" * 100, None, "type_not_supported"),
        ("a.zip", zipped(), "application/zip", "type_not_supported"),
        ("a.pdf", pdf(""), "application/pdf", "no_text"),
        ("a.pdf", pdf("Fresh milk", password="secret"), "application/pdf", "encrypted"),  # noqa: S106
        ("a.pdf", pdf("Fresh milk")[:300], "application/pdf", "damaged"),
        ("a.pdf", b"%PDF-1.7\n" + b"[" * 100_000, "application/pdf", "damaged"),
        ("a.png", image("PNG"), "image/png", "no_text"),
        ("a.png", image("PNG")[:20], "image/png", "damaged"),
        ("a.png", huge_png(20_000), "image/png", "decompression_bomb"),
        ("a.svg", b"\x89PNG\r\n\x1a\n", "image/png", "damaged"),
    ],
)
def test_what_has_no_text_says_why(
    name: str, data: bytes, media_type: str | None, reason: str
) -> None:
    content = read_document(name, data)
    assert (content.media_type, content.text, content.text_reason) == (media_type, None, reason)


def test_images_have_their_size_and_what_their_metadata_says() -> None:
    content = read_document("a.jpg", image("JPEG", size=(40, 30), description="A cow"))
    assert (content.width, content.height) == (40, 30)
    assert content.attributes["ImageDescription"] == "A cow"
    info = PngInfo()
    info.add_text("Author", "Own", zip=True)
    assert read_document("a.png", image("PNG", pnginfo=info)).attributes["Author"] == "Own"


def test_metadata_that_unpacks_to_much_more_is_refused() -> None:
    info = PngInfo()
    info.add_text("Comment", "a" * (10 << 20), zip=True)
    bomb = image("PNG", pnginfo=info)
    assert len(bomb) < 20_000
    assert read_document("a.png", bomb).text_reason == "damaged"


def test_pdf_and_html_say_their_title() -> None:
    assert read_document("a.html", HTML).attributes == {"title": "Milk", "description": "Fresh"}
    found = read_document("a.pdf", pdf("Fresh milk", title="Milk")).attributes
    assert (found["Title"], found["pages"]) == ("Milk", 1)


def test_long_text_is_cut_and_says_so() -> None:
    content = read_document("a.txt", b"a" * (MAX_TEXT + 1))
    assert content.text is not None
    assert (len(content.text), content.text_reason) == (MAX_TEXT, "cut_short")


def flipped(data: bytes) -> Callable[[int, int], bytes]:
    return lambda place, bit: bytes(
        byte ^ (1 << bit) if at == place % len(data) else byte for at, byte in enumerate(data)
    )


GOOD = [HTML, pdf("Fresh milk"), image("JPEG", description="A cow"), image("PNG"), zipped()]


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(GOOD), st.integers(0, 10_000), st.integers(0, 7), st.integers(0, 10_000))
def test_whatever_the_bytes_there_is_an_answer_that_can_be_stored(
    data: bytes, place: int, bit: int, cut: int
) -> None:
    content = read_document("a", flipped(data)(place, bit)[: cut % len(data) + 1])
    assert content.text or content.text_reason
    (content.text or "").encode()
    assert all(isinstance(v, str | int) for v in content.attributes.values())


def test_text_that_unicode_cannot_encode_is_mended() -> None:
    halves = (
        b"1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfchar <41> <d83d> endbfchar"
    )
    content = read_document("a.pdf", pdf("cAb", to_unicode=halves))
    assert content.text == "c?b"
