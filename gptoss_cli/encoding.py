"""Bytes of a user's text to text: UTF-8, or UTF-16 that says so. A guess that is wrong would be a prompt of rubbish."""

from gptoss_cli.errors import BadInput

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # PowerShell 5 writes the first before all that goes through `>`
FROM_BIG5 = "if it is Big5: iconv -f BIG5 -t UTF-8; to drop the bytes that are wrong: iconv -c -f UTF-8 -t UTF-8"
FROM_UTF_32 = "if it is UTF-32: iconv -f UTF-32 -t UTF-8"
FROM_UTF_16 = "if it is UTF-16 without a byte order mark: iconv -f UTF-16LE -t UTF-8"


def is_utf_16(data: bytes) -> bool:
    """Whether it begins with a byte order mark of UTF-16."""
    return data.startswith(UTF_16_MARKS)


def decode(data: bytes, name: str) -> str:
    """The text of `data`, without its byte order mark; `name` stands for it in errors.

    Raises BadInput with the first byte that is wrong, and for a zero byte, which is in UTF-16 and in what is no text.
    """
    codec = "utf-16" if is_utf_16(data) else "utf-8-sig"
    if codec != "utf-16" and b"\0" in data:
        raise BadInput(f"{name} is no text (it has a zero byte)", hint=FROM_UTF_16)
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        if codec == "utf-16":
            raise BadInput(f"{name} begins as UTF-16 and is not (byte {error.start})") from None
        raise BadInput(f"{name} is not UTF-8 (byte {error.start})", hint=FROM_BIG5) from None
    if "\0" in text:  # UTF-32 begins with the mark of UTF-16
        raise BadInput(f"{name} is no text (it has a zero character)", hint=FROM_UTF_32)
    return text
