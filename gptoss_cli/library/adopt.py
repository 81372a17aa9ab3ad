"""Models that are on this machine already, registered where they are; those of Ollama's layout as a converted copy."""

import errno
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gptoss_cli import adapters, conversion, finds, gguf, modelfile, names, preset, vocabulary, weights
from gptoss_cli.chat import LocalChat
from gptoss_cli.conversion import Conversion
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.errors import BadInput, DoesNotFit, EngineError, GptossError, ModelNotFound, NetworkError
from gptoss_cli.finds import Broken, Find
from gptoss_cli.library.model import TINY, cached, size_of, tiny
from gptoss_cli.messages import Conversation, Delta, Effort, Message, Progress, Role, SystemContent, user
from gptoss_cli.modelfile import Command, Modelfile
from gptoss_cli.names import ModelName
from gptoss_cli.options import Options
from gptoss_cli.store import Manifest, Store

ENOUGH_TOKENS = 8  # decoded to see that a converted copy works
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Imported:
    """A model that has a name now. status: `registered`, `converted`, or `already here`; note: what should be known."""

    name: str
    path: Path
    size_bytes: int
    status: str
    note: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that has no name now. problem: why, with the path; size_bytes: of one that could be converted."""

    path: Path
    problem: str
    hint: str | None = None
    size_bytes: int | None = None


Outcomes = Generator[Progress | Imported | Skipped, None, None]


@dataclass(frozen=True)
class _Usable:
    """A find whose header has been read. conversion: None where it can be used as it is."""

    find: Find
    conversion: Conversion | None


class Adoption:
    """One import into a store. data: the folder of the store, where converted copies are kept as well."""

    def __init__(self, store: Store, data: Path, *, name: ModelName | None, convert: bool) -> None:
        self._store, self._folder = store, data / "weights"
        self._name, self._convert = name, convert

    def of_tool(self, tool: str, folders: Sequence[Path]) -> Outcomes:
        """What `tool` has in its folders. Raises ModelNotFound when there is no gpt-oss, and what one import raises."""
        look = finds.ollama if tool == "ollama" else finds.files
        found = [each for folder in folders for each in look(folder)]
        where = ", ".join(map(str, folders))
        yield from self._all(found, f"no gpt-oss model of {finds.TOOLS[tool]} in {where}", f"gptoss import {tool}")

    def of_path(self, text: str) -> Outcomes:
        """The file at a path, or all below a folder. Raises ModelNotFound, BadInput for a file that is no model."""
        path = Path(os.path.abspath(Path(text).expanduser()))
        if os.path.isdir(path):  # unlike Path's, False for a name that is too long
            yield from self._all(list(finds.files(path)), f"no gpt-oss model below {path}", f"gptoss import {path}")
            return
        if not os.path.isfile(path):
            tools = ", ".join(finds.TOOLS)
            raise ModelNotFound(f"no file at {path}", hint=f"give a .gguf, a folder of them, or a tool: {tools}")
        yield from self._registered(self._usable(Find(path, finds.named_after(path))))

    def _all(self, found: list[Find | Broken], nothing: str, command: str) -> Outcomes:
        usable, convertible = [], False
        for find in _distinct(found):
            if isinstance(find, Broken):
                yield Skipped(find.path, f"{find.path} {find.reason}")
                continue
            try:
                usable.append(self._usable(find))
            except _Convertible as error:
                convertible = True
                yield replace(error.skipped, hint=f"make one: {command} --convert")
            except GptossError as error:
                yield Skipped(find.path, str(error), error.hint)
        if self._name and len(usable) > 1:
            listed = ", ".join(each.find.name for each in usable)
            raise BadInput(
                f"{self._name} cannot be the name of {len(usable)} models: {listed}", hint="leave --name out"
            )
        if not usable and not convertible:
            raise ModelNotFound(nothing)
        for each in usable:
            yield from self._registered(each)

    def _usable(self, find: Find) -> _Usable:
        header = gguf.Header.read(find.path)
        _made(find, find.path)  # what cannot be used of it is said before anything is written
        lora = [gguf.Header.read(Path(each.value)) for each in find.commands if each.name == "adapter"]
        if header.architecture != conversion.OLLAMA:
            weights.check_usable(header)
            for each in lora:
                adapters.check_usable(each, [header])
            return _Usable(find, None)
        if lora:
            raise BadInput(f"{find.path} has an adapter in Ollama's own layout, which cannot be converted")
        made = Conversion(header)
        kept = self._kept(find.path)
        if self._convert or (kept and self._known(_made(find, kept))):
            return _Usable(find, made)
        raise _Convertible(find, made.size_bytes)

    def _registered(self, usable: _Usable) -> Outcomes:
        """Give it a name, if it has none."""
        find, note, status, path = usable.find, None, "registered", usable.find.path
        if usable.conversion:
            kept = self._kept(path)
            if kept is None:
                kept, note = yield from self._converted(usable.conversion, self._free(find))
                status = "converted"
            path = kept
        made = _made(find, path)
        known = self._known(made)
        if known and (self._name is None or _same(known, self._name)):
            yield Imported(known, path, size_of(path), "already here")
            return
        name = self._free(find)
        self._store.put(Manifest(name, made))
        yield Imported(str(name), path, size_of(path), status, note)

    # names

    def _known(self, made: Modelfile) -> str | None:
        """The name under which the same is known already: the one that was asked for, if it is one of them."""
        same = [
            str(each.name)
            for each in self._store.all()
            if isinstance(each, Manifest) and _rest(each.modelfile) == _rest(made) and _is(each.base, made.source)
        ]
        if not _rest(made):
            same += [TINY] if _is(str(tiny().weights), made.source) else []
            same += [name for name in names.BUILDS if (path := cached(name)) and _is(str(path), made.source)]
        wanted = [each for each in same if self._name and _same(each, self._name)]
        return next(iter([*wanted, *same]), None)

    def _free(self, find: Find) -> ModelName:
        """The name that was asked for, or one made of the file's that nothing else has. Raises BadInput."""
        if self._name:
            if self._store.has(self._name):
                raise BadInput(
                    f"{self._name} is a model already", hint=f"choose another name, or gptoss rm {self._name}"
                )
            return self._name
        wanted = ModelName.parse(find.name)
        count, name = 1, wanted
        while self._store.has(name) or names.canonical(str(name)) or str(name).lower() == TINY:
            count += 1
            name = replace(wanted, model=f"{wanted.model[:76]}-{count}")
        return name

    # converted copies

    def _kept(self, source: Path) -> Path | None:
        """The converted copy of `source`, if it has been made before."""
        origin = conversion.origin(source)
        for path in sorted(self._folder.glob("*.gguf")):
            try:
                if gguf.Header.read(path).text(conversion.ORIGIN) == origin:
                    return path
            except GptossError:  # not one of ours, or damaged since
                continue
        return None

    def _converted(self, made: Conversion, name: ModelName) -> Generator[Progress, None, tuple[Path, str | None]]:
        """Write the copy, try it, and only then give it its place; returns the place, and what should be known."""
        stem = str(name).replace("/", "-").replace(":", "-")
        with _writing(self._folder):
            target = next(path for path in _places(self._folder, stem) if not path.exists())
            self._check_room(made.size_bytes)
            part = target.with_suffix(".part")
            try:
                for done in made.write(part):
                    yield Progress("convert", done, made.size_bytes)
                note = yield from _tried(part)
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
        return target, note

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise NetworkError(
                f"the disk of {self._folder} has {free:,} bytes free and the converted copy needs {needed:,}",
                hint="make room, or move everything with GPTOSS_HOME",
            )


class _Convertible(BadInput):
    """A file of Ollama's layout, and no copy was asked for."""

    def __init__(self, find: Find, size_bytes: int) -> None:
        called = f"{find.name}: " if find.commands or "/" in find.name else ""
        what = f"{called}{find.path} is in Ollama's own layout (gptoss); a converted copy has {size_bytes:,} bytes"
        super().__init__(what, hint=f"make one: gptoss import {find.path} --convert")
        self.skipped = Skipped(find.path, what, size_bytes=size_bytes)


def _distinct(found: list[Find | Broken]) -> Iterator[Find | Broken]:
    """Without the files that links and caches bring a second time."""
    seen = set()
    for find in found:
        key = (os.path.realpath(find.path), find.name if isinstance(find, Find) and "/" in find.name else "")
        if key not in seen:
            seen.add(key)
            yield find


def _made(find: Find, path: Path) -> Modelfile:
    """The model that is registered. Raises BadInput for what its tool has set and cannot be used here."""
    own = Modelfile((Command("from", str(path)), *find.commands))
    try:
        own = modelfile.parse(str(own), find.name)
        preset.read(own)
    except GptossError as error:
        raise BadInput(f"{find.path}: {error}", hint=error.hint) from None
    return preset.merged(None, own, str(path))


def _rest(file: Modelfile) -> tuple[Command, ...]:
    return tuple(each for each in file.commands if each.name != "from")


def _is(base: str, path: str) -> bool:
    return os.path.isabs(base) and os.path.realpath(base) == os.path.realpath(path)


def _same(name: str, other: ModelName) -> bool:
    return ModelName.parse(name).parts == other.parts


def _places(folder: Path, stem: str) -> Iterator[Path]:
    yield folder / f"{stem}.gguf"
    count = 2
    while True:
        yield folder / f"{stem}-{count}.gguf"
        count += 1


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Alone in writing there; what a killed one has left is removed. Raises GptossError, NetworkError: a full disk."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            for left in folder.glob("*.part"):
                left.unlink()
            yield
    except Timeout:
        raise GptossError(f"another gptoss is converting a model in {folder}", hint="wait until it has ended") from None
    except OSError as error:
        kind = NetworkError if error.errno in DISK_FULL else GptossError
        raise kind(f"the converted copy in {folder} cannot be written: {error.strerror or error}") from error


def _tried(path: Path) -> Generator[Progress, None, str | None]:
    """Load the file and decode a few tokens; what should be known of it. Raises EngineError, BadInput."""
    hello = Conversation((Message(Role.SYSTEM, (SystemContent(),)), user("hello")))
    options = Options(reasoning=Effort.LOW).override({"temperature": 0.0})
    try:
        count = 0
        with closing(LocalChat(LlamaEngine(path), vocabulary.load(path))) as chat:
            for event in chat.reply(hello, options):
                if isinstance(event, Progress):
                    yield event
                count += isinstance(event, Delta)
                if count == ENOUGH_TOKENS:
                    break
    except DoesNotFit as error:
        return f"it could not be tried: {error}"
    if not count:
        raise EngineError(f"the converted copy of {path} answers nothing")
    return None
