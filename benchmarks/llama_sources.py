"""Programs of llama.cpp, compiled from the sources of the installed llama-cpp-python against the libraries it uses.

They run the same machine code as gptoss then, and only what is around it differs. Needs g++ and a llama-cpp-python
built from source, which installs libllama-common too.
"""

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gptoss_cli.engine.binding import VERSION

COMPILE = ["g++", "-O2", "-std=c++17", "-DNDEBUG", "-pthread"]


@contextmanager
def sources(unpacked: Path | None) -> Iterator[Path]:
    """llama.cpp's folder in the source distribution of llama-cpp-python: `unpacked`, or what pip downloads."""
    with tempfile.TemporaryDirectory() as folder:
        yield (unpacked or _download(Path(folder))) / "vendor/llama.cpp"


def _download(folder: Path) -> Path:
    wanted = f"llama-cpp-python=={VERSION}"
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), wanted]
    subprocess.run(pip, check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (tree,) = (path for path in folder.iterdir() if path.is_dir())
    return tree


def compile_program(
    out: Path, llama: Path, files: Sequence[str], *, include: Sequence[Path] = (), flags: Sequence[str] = ()
) -> None:
    """The program of `files`, which are relative to the folder `llama`, at `out`; a file per core at a time."""
    folders = [*include, *(llama / name for name in (".", "common", "include", "ggml/include", "vendor", "tools/mtmd"))]
    common = [*COMPILE, *flags, *(f"-I{folder}" for folder in folders)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [f"{scratch}/{number}.o" for number in range(len(files))]
        commands = [[*common, "-c", "-o", made, str(llama / file)] for made, file in zip(objects, files, strict=True)]
        list(pool.map(lambda command: subprocess.run(command, check=True), commands))
        subprocess.run([*COMPILE, "-o", str(out), *objects, *_libraries()], check=True)


def _libraries() -> Iterator[str]:
    """How to link with what llama-cpp-python installs, and to find it when the program runs."""
    spec = importlib.util.find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    # libllama-common lies in the one folder only, the others in both: those of the package are the ones we use
    for folder, names in (
        (installed / "lib", ["mtmd", "llama", "ggml", "ggml-base", "ggml-cpu"]),
        (installed.parent / "lib", ["llama-common"]),
    ):
        yield from (f"-L{folder}", f"-Wl,-rpath,{folder}", *(f"-l{name}" for name in names))
