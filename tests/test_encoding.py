"""Bytes to text, and what is said of those that are none."""

import pytest

from gptoss_cli.encoding import decode
from gptoss_cli.errors import BadInput

TEXT = "FROM bob\nYou are a 你好👋 file.\n上\n"  # 上 has the byte of a newline in UTF-16


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_tells_the_encoding(codec: str) -> None:
    mark = "\ufeff" if codec.startswith("utf-16-") else ""
    assert decode((mark + TEXT).encode(codec), "x") == TEXT


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ("abc 中文".encode("big5"), "x is not UTF-8 (byte 4)", "iconv -f BIG5 -t UTF-8"),
        ("abc".encode("utf-16-le"), "x is no text (it has a zero byte)", "iconv -f UTF-16LE -t UTF-8"),
        (b"\x89PNG\r\n\0\0", "x is no text (it has a zero byte)", "if it is UTF-16"),
        ("abc".encode("utf-32"), "x is no text (it has a zero character)", "iconv -f UTF-32 -t UTF-8"),
        ("a\0bc".encode("utf-16"), "x is no text (it has a zero character)", ""),
        (b"\xff\xfea", "x begins as UTF-16 and is not (byte 2)", ""),
    ],
)
def test_what_is_no_text_says_where_and_what_to_do(data: bytes, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as error:
        decode(data, "x")
    assert str(error.value) == message
    assert hint in (error.value.hint or "")
