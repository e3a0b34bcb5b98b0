"""Real documents, made when a test asks for them."""

import io
from typing import Any

import pypdf
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

IMAGE_DESCRIPTION = 0x010E  # the EXIF tag


def pdf(
    text: str, *, title: str = "", password: str | None = None, to_unicode: bytes = b""
) -> bytes:
    """A PDF of one page that shows a line of text."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    if to_unicode:
        font[NameObject("/ToUnicode")] = writer._add_object(_stream(to_unicode))
    shown = _stream(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    page[NameObject("/Contents")] = writer._add_object(shown)
    writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, "owner")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def _stream(data: bytes) -> DecodedStreamObject:
    made = DecodedStreamObject()
    made.set_data(data)
    return made


def image(
    kind: str,
    *,
    size: tuple[int, int] = (3, 2),
    description: str = "",
    pnginfo: PngInfo | None = None,
) -> bytes:
    """An image with an EXIF description."""
    exif = Image.Exif()
    if description:
        exif[IMAGE_DESCRIPTION] = description
    options: dict[str, Any] = {"pnginfo": pnginfo} if pnginfo else {}
    made = io.BytesIO()
    Image.new("RGB", size).save(made, kind, exif=exif, **options)
    return made.getvalue()
