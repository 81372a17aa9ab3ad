"""What the paths in a Modelfile mean: relative to it, `~` as a shell has it, and a folder with one model in it."""

import os
import re
from dataclasses import replace
from pathlib import Path

from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.modelfile import Modelfile

LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")  # of a split model: llama.cpp, llama_split_path


def absolute(text: str, folder: Path) -> Path:
    """The path that `text` means in a file in `folder`; a user that is not known is left as it is.

    Links are not followed: in the cache of Hugging Face they lead to files without the names that parts have.
    """
    return Path(os.path.normpath(folder.absolute() / os.path.expanduser(text)))


def only_model(folder: Path) -> Path:
    """The weights in a folder, the first part of a split model. Raises ModelNotFound, BadInput for several."""
    found = [path for path in sorted(folder.glob("*.gguf")) if not LATER_PART.search(path.name)]
    if not found:
        raise ModelNotFound(f"no .gguf in the folder {folder}", hint="give the path of one, or the name of a model")
    if len(found) > 1:
        raise BadInput(f"several models in the folder {folder}", hint="name one: " + ", ".join(p.name for p in found))
    return found[0]


def with_draft(file: Modelfile, folder: Path, source: str) -> Modelfile:
    """`file` with the path of its DRAFT made absolute. Raises ModelfileError when it is FROM's, or nothing is there."""
    commands = []
    for command in file.commands:
        if command.name == "draft":
            path = absolute(command.value, folder)
            if path == absolute(source, folder):
                raise file.error(command, "DRAFT must not reference the same local path as FROM")
            if not path.exists():
                raise ModelNotFound(str(file.error(command, f"no file at {path}")))
            command = replace(command, value=str(path))
        commands.append(command)
    return replace(file, commands=tuple(commands))
