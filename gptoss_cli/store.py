"""Named models on disk: one manifest per name, which references weights in place. Knows no model's content.

`models/NAMESPACE/MODEL/TAG.json` below the data folder, all in small letters. A manifest is replaced in one step, so a
reader needs no lock; writers hold `models/.lock`, which other processes respect.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gptoss_cli import modelfile
from gptoss_cli.errors import BadInput, GptossError, ModelNotFound
from gptoss_cli.files import locked, write_whole
from gptoss_cli.modelfile import Modelfile
from gptoss_cli.names import ModelName

SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """A named model: what it is made from, and what is set on top of it.

    base: `tiny`, a name of the catalogue, a reference to the Hub, or the absolute path of a GGUF. The instructions of
    `modelfile` are in force as they stand there; its FROM is the base. modified: UTC, with seconds.
    """

    name: ModelName
    modelfile: Modelfile
    modified: str = ""

    @property
    def base(self) -> str:
        return self.modelfile.source


@dataclass(frozen=True)
class Damaged:
    """A manifest that cannot be read, and why."""

    name: ModelName
    problem: str


class Store:
    """The named models in a folder, which need not exist yet. Any number of processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "models"

    def get(self, name: ModelName) -> Manifest:
        """Raises ModelNotFound; GptossError when the manifest is damaged or of a later version of gptoss."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ModelNotFound(f"unknown model {name}", hint="gptoss list shows what there is") from None
        except OSError as error:
            raise GptossError(f"{path} cannot be read: {error.strerror}") from error
        manifest = _read(path, data)
        if manifest.name.parts != name.parts:  # a copy made by hand: two of one name would not know of each other
            raise GptossError(
                f"{path} is damaged: it says it is {manifest.name}", hint="create the model again, or remove it"
            )
        return manifest

    def has(self, name: ModelName) -> bool:
        """Raises GptossError when nobody may look."""
        path = self._path(name)
        try:
            return path.is_file()
        except OSError as error:
            raise GptossError(f"{path} cannot be read: {error.strerror}") from error

    def all(self) -> list[Manifest | Damaged]:
        """In the order of their names."""
        found: list[Manifest | Damaged] = []
        for path in self._folder.glob("*/*/*.json"):
            name = _name_of(path)
            if name is None:
                continue
            try:
                found.append(self.get(name))
            except ModelNotFound:
                pass  # removed since
            except GptossError as error:
                found.append(Damaged(name, str(error)))
        return sorted(found, key=lambda each: str(each.name).lower())

    def put(self, manifest: Manifest) -> Manifest:
        """Write it, in place of one of the same name; the one that is returned has the time. Raises GptossError."""
        now = replace(manifest, modified=datetime.now(UTC).isoformat(timespec="seconds"))
        told = {
            "schema": SCHEMA,
            "name": str(now.name),
            "modelfile": str(now.modelfile),
            "modified": now.modified,
        }
        path = self._path(now.name)
        with self._locked():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        return now

    def remove(self, name: ModelName) -> None:
        """Raises ModelNotFound."""
        path = self._path(name)
        with self._locked():
            try:
                path.unlink()
            except FileNotFoundError:
                raise ModelNotFound(f"unknown model {name}", hint="gptoss list shows what there is") from None
            for folder in (path.parent, path.parent.parent):
                try:
                    folder.rmdir()
                except OSError:  # others are in it
                    break

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GptossError(f"{error.filename or self._folder} cannot be written: {error.strerror}") from error
        with locked(self._folder / ".lock"):
            yield

    def _path(self, name: ModelName) -> Path:
        namespace, model, tag = name.parts
        return self._folder / namespace / model / f"{tag}.json"


def _name_of(path: Path) -> ModelName | None:
    try:
        return ModelName.parse(f"{path.parent.parent.name}/{path.parent.name}:{path.stem}")
    except BadInput:  # not one of ours
        return None


def _read(path: Path, data: bytes) -> Manifest:
    hint = "create the model again, or remove it"
    try:
        told = json.loads(data)
        schema = told["schema"]
        name, text, modified = (
            (told[key] for key in ("name", "modelfile", "modified")) if schema == SCHEMA else ("",) * 3
        )
        if schema == SCHEMA and all(isinstance(each, str) for each in (name, text, modified)):
            if datetime.fromisoformat(modified).tzinfo is None:
                raise ValueError(modified)
            return Manifest(ModelName.parse(name), modelfile.parse(text), modified)
    except GptossError as error:
        raise GptossError(f"{path} is damaged: {error}", hint=hint) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise GptossError(f"{path} is damaged: it is no manifest", hint=hint) from None
    if schema == SCHEMA:
        raise GptossError(f"{path} is damaged: it is no manifest", hint=hint)
    raise GptossError(f"{path} has schema {schema!r}, and this gptoss reads {SCHEMA}", hint="update gptoss")
