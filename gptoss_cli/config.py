"""Settings with their origin: flag > environment > preset > config.toml > default.

Knows names and their order; not how a flag is typed or a preset is stored.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.errors import BadInput
from gptoss_cli.options import NAMES, Options, typed

ENVIRONMENT_PREFIX = "GPTOSS_"  # GPTOSS_MODEL, GPTOSS_REASONING, GPTOSS_TEMPERATURE, ...


@dataclass(frozen=True)
class Places:
    """Where things are kept on this machine."""

    config_file: Path
    cache: Path
    data: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Places":
        """GPTOSS_HOME moves everything; without it, the platform's own folders."""
        if home := environment.get("GPTOSS_HOME"):
            root = Path(home).expanduser()
            return cls(root / "config.toml", root / "cache", root)
        import platformdirs  # 10 ms: not needed by --version and --help

        return cls(
            Path(platformdirs.user_config_dir("gptoss")) / "config.toml",
            Path(platformdirs.user_cache_dir("gptoss")),
            Path(platformdirs.user_data_dir("gptoss")),
        )


@dataclass(frozen=True)
class Settings:
    """The default model and the options in force; `origin` says for each name that is not at its default who set it."""

    model: str | None
    options: Options
    origin: Mapping[str, str]

    @classmethod
    def resolve(
        cls,
        *,
        flags: Mapping[str, object],
        environment: Mapping[str, str],
        preset: Mapping[str, object],
        file: Mapping[str, object],
    ) -> "Settings":
        """Settings from the four sources; a None among the flags was not given.

        environment is the process's whole environment. Raises BadInput with the source's name for an unknown name in
        the file or a bad value anywhere.
        """
        values: dict[str, object] = {}
        origin: dict[str, str] = {}
        given = {name: value for name, value in flags.items() if value is not None}
        for source, mapping in (
            ("config.toml", file),
            ("preset", preset),
            ("environment", _from_environment(environment)),
            ("flag", given),
        ):
            for name, value in mapping.items():
                values[name] = _checked(source, name, value)
                origin[name] = source
        model = values.pop("model", None)
        return cls(str(model) if model is not None else None, Options().override(values), origin)


def read_file(path: Path) -> dict[str, object]:
    """The settings in config.toml; none if there is no file. Raises BadInput with the place of a syntax error."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = {ENVIRONMENT_PREFIX + name.upper(): name for name in (*NAMES, "model")}
    return {names[key]: value for key, value in environment.items() if key in names and value}


def _checked(source: str, name: str, value: object) -> object:
    if name == "model":
        if not isinstance(value, str):
            raise BadInput(f"{source}: model must be a text, not {value!r}")
        return value
    try:
        return typed(name, value)
    except BadInput as error:
        if source == "flag":
            raise
        where = ENVIRONMENT_PREFIX + name.upper() if source == "environment" else source
        raise BadInput(f"{where}: {error}", hint=error.hint) from None
