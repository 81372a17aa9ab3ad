"""How llama.cpp was built here, and what it computes on. Run as a program it prints that as JSON, in one line.

A library that is broken, or made for another processor, may end the process: `gptoss doctor` asks in one of its own.
"""

import ctypes
import json
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from gptoss_cli.engine import binding
from gptoss_cli.errors import GptossError

TYPES = ("CPU", "GPU", "integrated GPU", "accelerator", "meta")  # ggml-backend.h, enum ggml_backend_dev_type


@dataclass(frozen=True)
class Device:
    """What llama.cpp can compute on; bytes as its backend tells them. For the CPU it takes all memory for free."""

    name: str
    description: str
    type: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Build:
    """Versions, backends that are compiled in, and the features that the code for the CPU uses: AVX2, OPENMP, ..."""

    llama_cpp_python: str
    llama_cpp: str
    ggml: str
    backends: tuple[str, ...]
    features: tuple[str, ...]
    devices: tuple[Device, ...]


def found() -> Build:
    """The build in use. Raises EngineError."""
    api = binding.api()
    library = api._lib
    for name in ("ggml_version", "ggml_commit", "ggml_backend_reg_name"):
        getattr(library, name).restype = ctypes.c_char_p
    for name in ("ggml_backend_dev_name", "ggml_backend_dev_description"):
        getattr(library, name).restype = ctypes.c_char_p
    for name in ("ggml_backend_reg_get", "ggml_backend_dev_get"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("ggml_backend_reg_count", "ggml_backend_dev_count"):
        getattr(library, name).restype = ctypes.c_size_t
    library.ggml_backend_dev_memory.restype = None
    registered = [library.ggml_backend_reg_get(ctypes.c_size_t(n)) for n in range(library.ggml_backend_reg_count())]
    devices = [library.ggml_backend_dev_get(ctypes.c_size_t(n)) for n in range(library.ggml_backend_dev_count())]
    return Build(
        version("llama-cpp-python"),
        _text(api.llama_version()),
        f"{_text(library.ggml_version())} ({_text(library.ggml_commit())})",
        tuple(_text(library.ggml_backend_reg_name(ctypes.c_void_p(each))) for each in registered),
        features(_text(api.llama_print_system_info())),
        tuple(_device(library, ctypes.c_void_p(each)) for each in devices),
    )


def _device(library: Any, handle: ctypes.c_void_p) -> Device:
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    library.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    number = library.ggml_backend_dev_type(handle)
    return Device(
        _text(library.ggml_backend_dev_name(handle)),
        _text(library.ggml_backend_dev_description(handle)),
        TYPES[number] if 0 <= number < len(TYPES) else str(number),
        free.value,
        total.value,
    )


def _text(given: bytes | None) -> str:
    return (given or b"").decode(errors="replace").strip()


def features(told: str) -> tuple[str, ...]:
    """The names that are on in llama.cpp's line `CPU : SSE3 = 1 | AVX2 = 1 | ... | CUDA : ARCHS = 900 | `.

    What follows another backend's name is that one's, until `CPU` comes again.
    """
    names = []
    backend = ""
    for part in told.split("|"):
        before, colon, after = part.rpartition(" : ")
        if colon:
            backend = before.strip()
        name, _, value = after.partition(" = ")
        if backend == "CPU" and value.strip() not in ("", "0"):
            names.append(name.strip())
    return tuple(names)


def from_object(told: dict[str, Any]) -> Build:
    """The Build of which `asdict` made `told`."""
    devices = tuple(Device(**each) for each in told["devices"])
    return Build(
        **{**told, "devices": devices, "backends": tuple(told["backends"]), "features": tuple(told["features"])}
    )


def main() -> None:
    try:
        print(json.dumps(asdict(found())))
    except GptossError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
