"""What a document says: its media type, text and metadata, told from the bytes alone."""

import codecs
import io
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import puremagic
import pypdf
from PIL import ExifTags, Image
from pypdf.errors import FileNotDecryptedError
from selectolax.lexbor import LexborHTMLParser

Attributes = Mapping[str, str | int]

MAX_TEXT = 1_000_000  # characters, as many as a long book has
MAX_ATTRIBUTES, MAX_ATTRIBUTE = 100, 1000  # values, and characters of one

TEXT_TYPES = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".xml": "application/xml",
}
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
IMAGE_DESCRIPTIONS = ("ImageDescription", "Description", "comment", "Comment")
UNSEEN = "script, style, template, noscript"
BLOCKS = (
    "address, article, aside, blockquote, br, dd, div, dl, dt, figcaption, footer, form, h1, h2, "
    "h3, h4, h5, h6, header, hr, li, main, nav, ol, p, pre, section, table, td, th, tr, ul"
)

# It reports each oddity of each file; the reason code is enough.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Content:
    """What a document's bytes hold.

    Attributes:
        media_type: None if nothing is known of such bytes.
        text: None if there is none; never longer than `MAX_TEXT`.
        text_reason: why there is no text, or not all of it.
        width: of an image, in pixels.
        height: of an image, in pixels.
        attributes: what the document says of itself, such as its title or author.
    """

    media_type: str | None
    text: str | None = None
    text_reason: str | None = None
    width: int | None = None
    height: int | None = None
    attributes: Attributes = field(default_factory=dict)


def read_document(name: str, data: bytes) -> Content:
    """The content of one document; whatever its bytes are, there is an answer.

    Args:
        name: of the file; its extension tells apart what is text either way (Markdown, JSON).

    Raises:
        MemoryError: it takes more than there is.
    """
    suffix = PurePosixPath(name).suffix.lower()
    media_type = "application/pdf" if b"%PDF-" in data[:1024] else None
    text = None if media_type else _decoded(data)
    if text is not None:
        media_type = "text/html" if _is_html(text) else TEXT_TYPES.get(suffix, "text/plain")
    media_type = media_type or _magic(name, data)
    try:
        if media_type == "text/html" and text is not None:
            return _html(text)
        if text is not None:
            return _with_text(media_type, text, {})
        if media_type == "application/pdf":
            return _pdf(data)
        if media_type and media_type.startswith("image/"):
            return _image(media_type, data)
    except MemoryError:
        raise
    except FileNotDecryptedError:
        return Content(media_type, text_reason="encrypted")
    except Image.DecompressionBombError:
        return Content(media_type, text_reason="decompression_bomb")
    except Exception:  # a parser may fail in any way on bytes that were made to break it
        return Content(media_type, text_reason="damaged")
    not_utf8 = suffix in TEXT_TYPES and media_type in (None, TEXT_TYPES[suffix])
    return Content(media_type, text_reason="not_utf8" if not_utf8 else "type_not_supported")


def _decoded(data: bytes) -> str | None:
    """The bytes as text: UTF-8, what a byte order mark says, or what an HTML page declares."""
    mark = next((codec for mark, codec in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    declared = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", data[:1024], re.IGNORECASE)
    for codec in (mark or "utf-8", declared and declared[1].decode()):
        try:
            text = data.decode(codec) if codec else "\0"
        except (ValueError, LookupError):
            continue
        if "\0" not in text:
            return text
    return None


def _is_html(text: str) -> bool:
    return text[:1024].lstrip().lower().startswith(("<!doctype html", "<html"))


def _magic(name: str, data: bytes) -> str | None:
    try:
        return puremagic.from_string(data, mime=True, filename=name) or None
    except (puremagic.PureError, ValueError):
        return None


def _with_text(media_type: str | None, text: str, given: Mapping[str, object]) -> Content:
    kept = _clean(text.strip(), MAX_TEXT)
    reason = None if kept else "no_text"
    if len(text.strip()) > MAX_TEXT:
        reason = "cut_short"
    return Content(media_type, kept or None, reason, attributes=_clean_all(given))


def _clean(text: str, length: int) -> str:
    """Lone surrogates, which PDF and EXIF may hold, have no UTF-8."""
    return text[:length].encode("utf-8", "replace").decode()


def _clean_all(attributes: Mapping[str, object]) -> Attributes:
    """Those that have a text or a whole number, within limits."""
    plain = {
        _clean(name, MAX_ATTRIBUTE): _clean(value, MAX_ATTRIBUTE)
        if isinstance(value, str)
        else value
        for name, value in attributes.items()
        if isinstance(value, str | int)
    }
    return dict(list(plain.items())[:MAX_ATTRIBUTES])


def _html(html: str) -> Content:
    tree = LexborHTMLParser(html)
    title, description = tree.css_first("title"), tree.css_first("meta[name=description]")
    given = {
        "title": title.text(strip=True) if title else None,
        "description": description.attributes.get("content") if description else None,
    }
    for node in tree.css(UNSEEN):
        node.decompose()
    for node in tree.css(BLOCKS):  # a block ends a line; what is inline may be part of a word
        node.insert_before("\n")
        node.insert_after("\n")
    lines = (" ".join(line.split()) for line in (tree.body.text() if tree.body else "").split("\n"))
    return _with_text("text/html", "\n".join(line for line in lines if line), given)


def _pdf(data: bytes) -> Content:
    reader = pypdf.PdfReader(io.BytesIO(data))
    pages: list[str] = []
    length = 0
    for page in reader.pages:
        pages.append(page.extract_text())
        length += len(pages[-1])
        if length > MAX_TEXT:
            break
    given = {key.strip("/"): value for key, value in (reader.metadata or {}).items()}
    return _with_text("application/pdf", "\n".join(pages), {"pages": len(reader.pages), **given})


def _image(media_type: str, data: bytes) -> Content:
    """Size and descriptions from the header; the pixels are not decoded."""
    with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
        given: dict[str, object] = {str(name): value for name, value in image.info.items()}
        for tag, value in image.getexif().items():
            given[ExifTags.TAGS.get(tag, str(tag))] = value
        width, height = image.size
        media_type = image.get_format_mimetype() or media_type
    if isinstance(comment := given.get("comment"), bytes):  # of JPEG and GIF
        given["comment"] = comment.decode(errors="replace")
    attributes = _clean_all(given)
    texts = (str(attributes[key]).strip() for key in IMAGE_DESCRIPTIONS if key in attributes)
    text = next(filter(None, texts), None)
    return Content(media_type, text, None if text else "no_text", width, height, attributes)
