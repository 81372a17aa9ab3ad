"""The verbs on models: find, open, create, copy, remove, list. A reply is made by chat."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gptoss_cli import finds, gguf, names, preset, vocabulary, weights
from gptoss_cli.chat import LocalChat
from gptoss_cli.downloads import Downloads
from gptoss_cli.engine import wire
from gptoss_cli.engine.running import Running
from gptoss_cli.engine.states import FOLDER
from gptoss_cli.errors import BadInput, GptossError, ModelNotFound
from gptoss_cli.hub import cache
from gptoss_cli.hub.api import Source
from gptoss_cli.hub.download import Tuning
from gptoss_cli.library import loaded
from gptoss_cli.library import pull as pulling
from gptoss_cli.library.adopt import Adoption, Outcomes
from gptoss_cli.library.fit import Fit, fit_of, gpu_layers_of
from gptoss_cli.library.lora import with_adapter
from gptoss_cli.library.model import (
    TINY,
    Listed,
    Model,
    cached,
    described,
    from_catalogue,
    from_hub,
    pulled,
    references,
    size_of,
    time_of,
    tiny,
)
from gptoss_cli.library.paths import absolute, only_model, with_draft
from gptoss_cli.library.pull import Pulling
from gptoss_cli.library.removal import Leftover, Removal, Weights
from gptoss_cli.library.verify import Verifying, verify, with_missing
from gptoss_cli.modelfile import Command, Modelfile, Remark
from gptoss_cli.names import ModelName
from gptoss_cli.store import Damaged, Manifest, Store

MOST_NAMED = 8  # models in a hint


class Library:
    """The models of this machine. data: folder of the named ones; cache: of what makes a later start quick, or None.

    runtimes: private folders for what runs, see config.Places; without one, models run in this process only.
    """

    def __init__(self, data: Path, cache: Path | None = None, runtimes: Sequence[Path] = ()) -> None:
        self._data, self._cache, self._runtimes = data, cache, runtimes
        self._told: set[str | None] = {None}
        self._store = Store(data)
        self._downloads = Downloads(data)

    def known(self, word: str) -> bool:
        """Whether `word` names a model: `tiny`, one of the store, the catalogue or the Hub, a `.gguf` or any file."""
        if word == TINY or names.canonical(word) or word.endswith(".gguf") or _looks_like_path(word):
            return True
        if names.is_hub_reference(word):
            return True
        return self._stored(word) is not None

    def find(self, name: str) -> Model:
        """The model called `name`, or the file at that path.

        Raises ModelNotFound when it is unknown or not here, GptossError for a manifest that is damaged.
        """
        if name == TINY:
            return tiny()
        if (stored := self._stored(name)) is not None:
            return self._named(self._store.get(stored))
        if names.canonical(name):
            return from_catalogue(name)
        if names.is_hub_reference(name):
            return from_hub(name)
        path = Path(os.path.expanduser(name))
        if os.path.isfile(path):  # unlike Path's, False for a name that is too long
            return Model(path.name, path, {}, base=str(absolute(name, Path())))
        if name and os.path.isdir(path):
            raise ModelNotFound(f"{name} is a folder", hint="give the path of the .gguf in it, or the name tiny")
        if _looks_like_path(name) or name.endswith(".gguf"):
            raise ModelNotFound(f"no file at {name}", hint="give the path of a gpt-oss .gguf, or the name tiny")
        raise ModelNotFound(
            f"unknown model {name or repr(name)}",
            hint=f"known: {self._names()}, or the path of a .gguf",
        )

    def modelfile(self, name: str) -> Modelfile:
        """The Modelfile that makes the same model; of a named one also when its weights are gone. Raises as `find`."""
        if name != TINY and (stored := self._stored(name)) is not None:
            return self._store.get(stored).modelfile
        return described(self.find(name))

    def default(self) -> Model:
        """The model for a prompt without one: a gpt-oss that is here, else `tiny`, whose notice then says so."""
        for name in names.BUILDS:
            if (path := cached(name)) is not None:
                return Model(name, path, {}, base=name)
        return tiny(fallback=True)

    def open(
        self,
        model: Model,
        *,
        num_ctx: int | None = None,
        gpu_layers: int | None = None,
        cpu_moe: int | None = None,
        force: bool = False,
        threads: int | None = None,
        prompt_cache: bool = True,
        keep_alive: float = 0,
        repack: bool | None = False,
    ) -> LocalChat:
        """A chat with `model`; loading goes on in the background. Close it.

        force: try to load what does not fit in memory. prompt_cache: keep on disk what was read, for the next process.
        keep_alive: run it in a process of its own, which stays for so many seconds after it was last used, for ever
        when negative; 0 runs it in this process. repack: as LlamaEngine has it. Raises BadInput for a file that is not
        a usable gpt-oss GGUF, ModelNotFound for an adapter that is gone, and EngineError.
        """
        weights.check_usable(gguf.Header.read(model.weights))
        if problem := _gone(model.name, model.adapters):
            raise ModelNotFound(problem, hint=f"create {model.name} again, or gptoss rm {model.name} forgets the name")
        load = wire.Load(
            str(model.weights.absolute()),
            tuple(str(each.absolute()) for each in model.adapters),
            num_ctx,
            gpu_layers_of(model, gpu_layers),
            cpu_moe,
            force,
            threads or model.threads,
            repack,
            states=str((self._cache / FOLDER).absolute()) if prompt_cache and self._cache else None,
        )
        engine, notice = loaded.engine(load, model.name, self._runtimes, keep_alive)
        notice = None if notice in self._told else notice
        self._told.add(notice)
        return LocalChat(engine, vocabulary.load(model.weights, self._cache), num_ctx, notice)

    def fit(
        self, model: Model, num_ctx: int | None = None, gpu_layers: int | None = None, cpu_moe: int | None = None
    ) -> Fit:
        """What running `model` takes on this machine, and where it goes. Raises BadInput, EngineError."""
        return fit_of(model, num_ctx, gpu_layers, cpu_moe)

    def check(self, file: Modelfile, folder: Path, source: str | None = None) -> tuple[Modelfile, tuple[Remark, ...]]:
        """What a model made of `file` would be, with all that it inherits, and what may not have been meant.

        folder: where relative paths begin. source: instead of what FROM says. Raises ModelfileError, ModelNotFound,
        and BadInput for weights that cannot be used.
        """
        _, remarks = preset.read(file)
        file = with_draft(file, folder, file.source if source is None else source)
        if source is not None or self.can_be_pulled(file.source):  # what is only missing is no mistake in the file
            base, below = self._base(file.source if source is None else source, folder)
        else:
            with file.placing("from"):
                base, below = self._base(file.source, folder)
        if file.values("adapter"):
            file = with_adapter(file, folder, self._weights(base, file.source).weights)
        return preset.merged(below, file, base), remarks

    def create(self, name: str, file: Modelfile, folder: Path, source: str | None = None) -> tuple[Remark, ...]:
        """Make the model `name` of `file`, in place of one of that name; see `check`."""
        target = _own_name(name)
        made, remarks = self.check(file, folder, source)
        self._store.put(Manifest(target, made))
        return remarks

    def copy(self, source: str, target: str) -> None:
        """Make `target` the same as `source`. Raises ModelNotFound, BadInput."""
        new = _own_name(target)
        if (stored := self._stored(source)) is not None:
            made = self._store.get(stored).modelfile
        else:
            made = Modelfile((Command("from", self.find(source).base),))
        self._store.put(Manifest(new, made))

    def import_(
        self, source: str, *, environment: Mapping[str, str], name: str | None = None, convert: bool = False
    ) -> Outcomes:
        """Register what is at a path, below a folder, or in the folders of a tool (finds.TOOLS); see library.adopt.

        name: instead of one made of the file's. convert: make converted copies of files of Ollama's layout. Raises
        ModelNotFound when there is nothing, BadInput, NetworkError when the disk is too full, EngineError.
        """
        adoption = Adoption(self._store, self._data, name=_own_name(name) if name else None, convert=convert)
        if source in finds.TOOLS:
            return adoption.of_tool(source, finds.folders(source, environment, Path.home()))
        return adoption.of_path(source)

    def is_named(self, name: str) -> bool:
        """Whether it is a named model: one with a manifest."""
        return self._stored(name) is not None

    def removal(self, name: str) -> Removal:
        """What `remove` would do.

        Raises ModelNotFound when there is no such model, BadInput for one that cannot be removed.
        """
        if name == TINY:
            raise BadInput("tiny is built in and cannot be removed")
        known = self._users()
        if (stored := self._stored(name)) is not None:
            for manifest, path in known:
                if manifest.name.parts == stored.parts:
                    return self._weights_of(known).of_named(manifest, path)
            return Removal(str(stored))  # a damaged manifest
        if names.canonical(name) or names.is_hub_reference(name):
            return self._weights_of(known).of_download(self.find(name))
        raise ModelNotFound(f"unknown model {name or repr(name)}", hint="gptoss list shows what there is")

    def remove(self, name: str) -> Removal:
        """Forget the model `name`, and delete weights that gptoss wrote and nobody else uses; see `removal`."""
        removal = self.removal(name)
        if (stored := self._stored(name)) is not None:
            self._store.remove(stored)
        self._weights_of(self._users()).delete(removal.files)
        return removal

    def leftovers(self) -> list[Leftover]:
        """What takes room for nothing: unfinished downloads, versions that were replaced, copies without a name."""
        return list(self._weights_of(self._users()).leftovers(cache.folder()))

    def prune(self, leftovers: Sequence[Leftover]) -> list[Leftover]:
        """Delete those of them that are still left over; these are returned. Raises GptossError."""
        known, still = self._weights_of(self._users()), {each.paths for each in self.leftovers()}
        return [each for each in leftovers if each.paths in still and known.prune(each, cache.folder())]

    def verify(self, wanted: Sequence[str] = ()) -> Verifying:
        """Read the weights of these models, or of all that are here, and compare their hashes. Raises as `find`."""
        hashes = {each.path.resolve(): each.hash for each in self._downloads.all()}
        if wanted:
            return verify([(name, self.find(name).weights) for name in wanted], hashes)
        listed = self.all()
        here = verify([(each.name, each.weights) for each in listed if each.weights], hashes)
        return with_missing(here, [(each.name, each.base, each.problem or "") for each in listed if not each.weights])

    def all(self) -> list[Listed]:
        """Named models, then those of the catalogue and of the Hub that are here, then `tiny`."""
        listed = [self._listed(each) for each in self._store.all()]
        for name in names.BUILDS:
            if (path := cached(name)) is not None:
                listed.append(Listed(name, name, path, size_of(path), time_of(path)))
        listed += pulled(self._downloads, [each.weights for each in listed if each.weights])
        built_in = tiny()
        return [*listed, Listed(TINY, TINY, built_in.weights, size_of(built_in.weights), "")]

    def pull(self, name: str, source: Source | None = None, tuning: Tuning | None = None) -> Pulling:
        """Fetch the model `name`: of the catalogue, of the Hub, or what a named model is made from.

        source, tuning: not the Hub and the cache of the environment. See library.pull for events and errors.
        """
        if not self.can_be_pulled(name):
            self.find(name)
            raise BadInput(f"{name} is here and comes from no Hub")
        wanted = references(self._base_of(name))
        return pulling.pull(name, wanted, self._downloads, source or Source(cache.folder()), tuning)

    def can_be_pulled(self, name: str) -> bool:
        """Whether `pull` knows where to fetch it; says nothing about whether it is here."""
        base = self._base_of(name)
        return names.canonical(base) is not None or names.is_hub_reference(base)

    def running(self) -> list[Running]:
        """The models that are loaded in processes of their own."""
        return loaded.all_running(self._runtimes)

    def relief(self) -> bool:
        """End the loaded model that nobody has used for longest; False when there is none that is idle."""
        return loaded.relief(self._runtimes)

    def stop(self, name: str | None) -> list[Running]:
        """Unload the model `name`, or all, replies or not; what was unloaded. Raises ModelNotFound when it is not."""
        wanted = self.running()
        if name is not None:
            try:
                weights_of_name = self.find(name).weights
            except GptossError:  # it may be known by a name that is gone by now
                weights_of_name = None
            wanted = loaded.called(name, weights_of_name, wanted)
        loaded.stop(wanted)
        return wanted

    # one step each

    def _base_of(self, name: str) -> str:
        return name if (stored := self._stored(name)) is None else self._store.get(stored).base

    def _users(self) -> list[tuple[Manifest, Path | None]]:
        """The named models, and where each finds its weights."""
        found: list[tuple[Manifest, Path | None]] = []
        for each in self._store.all():
            if isinstance(each, Manifest):
                found.append((each, self._listed(each).weights))
        return found

    def _weights_of(self, known: list[tuple[Manifest, Path | None]]) -> Weights:
        unread = [str(each.name) for each in self._store.all() if isinstance(each, Damaged)]
        return Weights(self._data, self._downloads, known, unread)

    def _stored(self, word: str) -> ModelName | None:
        try:
            name = ModelName.parse(word)
        except BadInput:
            return None
        return name if self._store.has(name) else None

    def _names(self) -> str:
        """Some names, for a hint."""
        found = [TINY, *names.BUILDS, *(str(each.name) for each in self._store.all())]
        return ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")

    def _named(self, manifest: Manifest) -> Model:
        """A stored model. Its base is looked up anew: weights may have come or gone."""
        base = self._weights(manifest.base, str(manifest.name))
        own, _ = preset.read(manifest.modelfile)
        return replace(
            base,
            name=str(manifest.name),
            preset={**base.preset, **own.options},
            modelfile=manifest.modelfile,
            modified=manifest.modified,
            system=own.system,
            messages=own.messages,
            gpu_layers=-1 if own.gpu_layers is None else own.gpu_layers,
            threads=own.threads,
            adapters=_adapters(manifest),
        )

    def _weights(self, base: str, name: str) -> Model:
        if base == TINY:
            return tiny()
        if names.canonical(base):
            return from_catalogue(base)
        if names.is_hub_reference(base):
            return from_hub(base)
        if not Path(base).is_file():
            raise ModelNotFound(
                f"the weights of {name} are gone: {base}", hint=f"bring them back, or gptoss rm {name} forgets the name"
            )
        return Model(base, Path(base), {}, base=base)

    def _listed(self, each: Manifest | Damaged) -> Listed:
        if isinstance(each, Damaged):
            return Listed(str(each.name), "", None, None, "", each.problem)
        try:
            path = self._weights(each.base, str(each.name)).weights
        except ModelNotFound as error:
            return Listed(str(each.name), each.base, None, None, each.modified, str(error))
        problem = _gone(str(each.name), _adapters(each))
        return Listed(str(each.name), each.base, path, size_of(path), each.modified, problem)

    def _base(self, source: str, folder: Path) -> tuple[str, Modelfile | None]:
        """(what the FROM of a new model says, the instructions it inherits). A file goes before a name.

        A folder goes behind it: one that is called as a model is does not hide the model.
        """
        path = absolute(source, folder)
        if not os.path.isfile(path):
            if (stored := self._stored(source)) is not None:
                below = self._store.get(stored).modelfile
                return below.source, below
            if source == TINY or names.canonical(source) or names.is_hub_reference(source):
                return self.find(source).base, None
            if not os.path.isdir(path):
                hint = f"known: {self._names()}, or the path of a .gguf"
                what = "no file at" if _looks_like_path(source) or source.endswith(".gguf") else "unknown model"
                raise ModelNotFound(f"{what} {source}", hint=hint)
            path = only_model(path)
        weights.check_usable(gguf.Header.read(path))
        return str(path), None


def _own_name(text: str) -> ModelName:
    """A name that a user may give. Raises BadInput."""
    name = ModelName.parse(text)
    if str(name).lower() == TINY or names.canonical(text):
        raise BadInput(f"{text} is the name of a model that exists; choose another")
    return name


def _adapters(manifest: Manifest) -> tuple[Path, ...]:
    return tuple(map(Path, manifest.modelfile.values("adapter")))


def _gone(name: str, adapters: tuple[Path, ...]) -> str | None:
    return next((f"the adapter of {name} is gone: {path}" for path in adapters if not path.is_file()), None)


def _looks_like_path(word: str) -> bool:
    return word.startswith(("./", "../", "/", "~")) or os.path.isfile(word)
