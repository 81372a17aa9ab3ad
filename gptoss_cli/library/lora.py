"""ADAPTER in a Modelfile: the file it names, looked at and written down so that it is found from anywhere."""

import os
from dataclasses import replace
from pathlib import Path

from gptoss_cli import adapters, gguf, weights
from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.modelfile import Command, Modelfile


def with_adapter(file: Modelfile, folder: Path, model: Path) -> Modelfile:
    """`file` with the absolute path of its adapter. folder: where relative paths begin. model: what it is put on.

    Raises ModelNotFound for a file that is missing, ModelfileError for one that is no LoRA for these weights, or when
    there are two.
    """
    found = [each for each in file.commands if each.name == "adapter"]
    if len(found) > 1:  # as Ollama has it: "only one adapter is currently supported" (server/create.go)
        raise file.error(found[1], "only one ADAPTER can be used")
    for command in found:
        _check(file, command, _path(command, folder), model)
    return replace(file, commands=tuple(_absolute(each, folder) for each in file.commands))


def _absolute(command: Command, folder: Path) -> Command:
    return replace(command, value=str(_path(command, folder))) if command.name == "adapter" else command


def _path(command: Command, folder: Path) -> Path:
    return Path(os.path.abspath(folder / Path(command.value).expanduser()))


def _check(file: Modelfile, command: Command, path: Path, model: Path) -> None:
    if os.path.isdir(path):
        raise file.error(
            command, f"{path} is a folder", "give the LoRA's .gguf; llama.cpp's convert_lora_to_gguf.py makes it"
        )
    if not os.path.isfile(path):
        raise ModelNotFound(str(file.error(command, f"no file at {path}")))
    try:
        adapters.check_usable(gguf.Header.read(path), [gguf.Header.read(part) for part in weights.parts(model)])
    except BadInput as error:
        raise file.error(command, str(error), error.hint) from None
