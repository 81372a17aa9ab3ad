"""A text file as a part of what the user asks."""

import os
from pathlib import Path

from gptoss_cli.encoding import decode
from gptoss_cli.errors import BadInput

LARGEST_FILE_BYTES = 1_000_000  # a context of 131,072 tokens holds about half of it


def attachment(path: Path) -> str:
    """The name of a text file and its content in a fenced block, the fence longer than any in it. Raises BadInput."""
    text = text_file(path)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{path.name}\n{fence}\n{text.rstrip()}\n{fence}"


def text_file(path: Path) -> str:
    """The content of a file, UTF-8 or marked UTF-16, of at most LARGEST_FILE_BYTES. Raises BadInput."""
    try:
        with Path(os.path.expanduser(path)).open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
            size = max(len(data), os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise BadInput(f"no file at {path}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if size > LARGEST_FILE_BYTES:
        raise BadInput(f"{path} has {size:,} bytes; at most {LARGEST_FILE_BYTES:,} can be attached")
    return decode(data, str(path))
