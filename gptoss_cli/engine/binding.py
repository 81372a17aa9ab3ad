"""The only door to llama.cpp: imports it, checks that it is the right one, gives its calls types. Decides nothing.

Everything here must be called from one thread at a time (engine/llama has one of its own), except `Abort.set`.
"""

import atexit
import ctypes
import importlib.util
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from gptoss_cli.engine.memory import Gpu
from gptoss_cli.errors import DoesNotFit, EngineError, GptossError

VERSION = "0.3.36"  # llama-cpp-python; its ctypes structures are used directly
LLAMA_VERSION = b"0.5.0-dev"  # llama.cpp as vendored in it
# sizes of the structures on 64-bit platforms, as the C compiler laid them out in this release
STRUCT_SIZES = {"llama_model_params": 80, "llama_context_params": 160, "llama_batch": 56}

LOG_ERROR = 4  # ggml/include/ggml.h, enum ggml_log_level
FLASH_ATTN_AUTO = -1  # llama.h, LLAMA_FLASH_ATTN_TYPE_AUTO
PARTIAL_ONLY = 1  # llama.h, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY: what sliding-window layers hold
ABORTED = 2  # what llama_decode returns then
LOAD_MODE_NONE = 0  # llama.h, LLAMA_LOAD_MODE_NONE
GPU, INTEGRATED_GPU = 1, 2  # ggml-backend.h, enum ggml_backend_dev_type

SPIN_COUNT = "3000"

Row = Any  # a numpy array of float32; numpy is imported late

_errors: deque[str] = deque(maxlen=4)
_keep: list[Any] = []  # ctypes callbacks that llama.cpp holds


@cache
def api() -> Any:
    """The module `llama_cpp.llama_cpp`, checked. Raises EngineError when it is missing or another version."""
    import importlib.metadata  # 9 ms, as slow as a bare interpreter

    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # or a failed assertion forks gdb and prints for seconds
    if "OMP_WAIT_POLICY" not in os.environ:
        # how often libgomp looks before a thread sleeps at a barrier. Its own 300,000 make a token 300 times slower
        # (365 ms, not 1.2) as soon as another process wants one of the cores
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    try:
        module = _import()
        version = importlib.metadata.version("llama-cpp-python")
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineError(f"llama-cpp-python cannot be loaded: {error}", hint="reinstall gptoss") from error
    check(version, module)
    _capture_log(module)
    module.llama_backend_init()
    importlib.import_module("numpy.random")  # 0.1 s that the first token would wait for
    return module


def _import() -> Any:
    """`llama_cpp.llama_cpp` without its package's __init__, which takes 0.1 s for a class that is not used here."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None:
        raise ImportError("it is not installed")
    sys.modules.setdefault("llama_cpp", importlib.util.module_from_spec(spec))
    from llama_cpp import llama_cpp

    return llama_cpp


def check(version: str, module: Any) -> None:
    """Refuse a library whose structures differ from the ones used here: a wrong field gives silent wrong answers."""
    wanted = f"llama-cpp-python=={VERSION} is needed"
    if version != VERSION:
        raise EngineError(f"llama-cpp-python is {version}", hint=wanted)
    for name, size in STRUCT_SIZES.items():
        if (found := ctypes.sizeof(getattr(module, name))) != size:
            raise EngineError(f"{name} of llama-cpp-python has {found} bytes, not {size}", hint=wanted)
    if (found_version := module.llama_version()) != LLAMA_VERSION:
        raise EngineError(f"llama.cpp is {found_version.decode(errors='replace')}", hint=wanted)
    # the last fields have their documented defaults only when both sides agree on every field before them
    context = module.llama_context_default_params()
    if (context.n_seq_max, context.flash_attn_type, context.type_k, context.swa_full) != (1, FLASH_ATTN_AUTO, 1, True):
        raise EngineError("llama.cpp's context parameters have another layout", hint=wanted)


def _capture_log(module: Any) -> None:
    """Errors go to a ring for our messages; all lines to the logger of this module, when someone listens at DEBUG."""
    logger = logging.getLogger(__name__)

    def note(level: int, text: bytes, _data: object) -> None:
        verbose = logger.isEnabledFor(logging.DEBUG)
        if level != LOG_ERROR and not verbose:  # first: a load logs a thousand lines
            return
        line = text.decode("utf-8", errors="replace").strip()
        if level == LOG_ERROR:
            _errors.append(line)
            if not Abort.wanted:  # a decode that was stopped is an error to llama.cpp
                logger.info("%s", line)  # an engine's process keeps it: the next line may be an assertion that fails
        elif verbose:
            logger.debug("%s", line)

    callback = module.llama_log_callback(note)
    # a C function that looks at its first argument only, an int: nothing may enter Python once the interpreter is gone
    silent = ctypes.cast(_c_runtime().abs, module.llama_log_callback)
    _keep.extend((callback, silent))
    module.llama_log_set(callback, None)
    atexit.register(module.llama_log_set, silent, None)


def _c_runtime() -> Any:
    return ctypes.CDLL("ucrtbase" if os.name == "nt" else None)


def last_errors() -> str:
    """What llama.cpp has logged as errors since the last call, oldest first, on one line."""
    text = "; ".join(dict.fromkeys(line for line in _errors if line))
    _errors.clear()
    return text


def _failure(what: str) -> GptossError:
    """The error for a call of llama.cpp that has just failed, with what it said."""
    said = last_errors() or "llama.cpp did not say why"
    # ggml-backend, ggml-cuda and llama-model say it in these words
    if any(words in said for words in ("allocate", "out of memory", "alloc_buffer")):
        return DoesNotFit(
            f"{what}: {said}", hint="a smaller model, a shorter context (--num-ctx) or fewer --gpu-layers"
        )
    return EngineError(f"{what}: {said}")


class Abort:
    """A flag that a running decode looks at before each operation; on the CPU it stops within milliseconds.

    llama.cpp asks a C function, hundreds of times per token, whether to stop: strlen of a buffer of ours is such a
    function, without entering Python. `set` may be called from any thread.
    """

    wanted = False  # by whoever set one last

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        self.callback = ctypes.cast(_c_runtime().strlen, api().ggml_abort_callback)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    def set(self, stop: bool) -> None:
        Abort.wanted = stop
        self._buffer[0] = b"x" if stop else b"\0"


class _Override(ctypes.Structure):
    """llama.h, struct llama_model_tensor_buft_override."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def _experts_in_ram(layers: int) -> Any:
    """Overrides that leave the experts of the first `layers` layers in RAM; the second one ends the list."""
    function = api()._lib.ggml_backend_cpu_buffer_type
    function.restype = ctypes.c_void_p
    numbers = "|".join(map(str, range(layers)))
    pattern = rf"blk\.({numbers})\.ffn_(up|down|gate|gate_up)_(ch|)exps".encode()  # common/common.h, LLM_FFN_EXPS_REGEX
    return (_Override * 2)(_Override(pattern, function()), _Override(None, None))


class Model:
    """Loaded weights."""

    def __init__(
        self,
        path: str,
        *,
        gpu_layers: int = -1,
        cpu_moe: int = 0,
        split: Sequence[int] = (),
        copied: bool = False,
        repack: bool = False,
        progress: Callable[[float], bool] = lambda done: True,
    ) -> None:
        """Raises EngineError, DoesNotFit.

        cpu_moe: of so many layers the experts stay in RAM. split: layers for each of several GPUs. copied: the file is
        read, not mapped. progress(0..1) is called as it goes and stops the load by returning False.
        """
        self._api = api()
        parameters = self._api.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        if cpu_moe:
            overrides = _experts_in_ram(cpu_moe)
            parameters.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
        if len(split) > 1:
            shares = (ctypes.c_float * self._api.llama_max_devices())(*split)
            parameters.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
        if copied:
            parameters.load_mode = LOAD_MODE_NONE
        # repacking copies all experts into anonymous memory: worth it for a chat, not for one answer
        parameters.use_extra_bufts = repack
        self._progress = self._api.llama_progress_callback(lambda done, _data: progress(done))
        parameters.progress_callback = self._progress
        last_errors()
        self.handle = self._api.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.handle:
            raise _failure(f"{path} could not be loaded")
        vocab = self._api.llama_model_get_vocab(self.handle)
        self.n_vocab: int = self._api.llama_vocab_n_tokens(vocab)
        self.n_ctx_train: int = self._api.llama_model_n_ctx_train(self.handle)
        self.n_layer: int = self._api.llama_model_n_layer(self.handle)
        self.n_swa: int = self._api.llama_model_n_swa(self.handle)
        self._vocab = vocab
        self.adapters: list[Any] = []

    def add_adapter(self, path: str) -> None:
        """Every context made from now on applies the LoRA at `path`; it is freed with the model.

        Raises EngineError, DoesNotFit. The file must have passed adapters.check_usable: llama.cpp ends the process over
        some that are damaged.
        """
        last_errors()
        adapter = self._api.llama_adapter_lora_init(self.handle, os.fsencode(path))
        if not adapter:
            raise _failure(f"the adapter {path} could not be loaded")
        self.adapters.append(adapter)

    def ends_generation(self, id: int) -> bool:
        """Whether llama.cpp, too, takes `id` for an end of generation."""
        return 0 <= id < self.n_vocab and bool(self._api.llama_vocab_is_eog(self._vocab, id))

    def close(self) -> None:
        if self.handle:
            self._api.llama_model_free(self.handle)
            self.handle = None


class Context:
    """A KV cache of `n_ctx` tokens for one sequence, and the logits of the last token decoded."""

    def __init__(self, model: Model, *, n_ctx: int, n_ubatch: int, threads: int, abort: Abort) -> None:
        """Raises DoesNotFit, EngineError."""
        self._api, self._abort = api(), abort  # kept: llama.cpp looks at its buffer
        parameters = self._api.llama_context_default_params()
        parameters.n_ctx = n_ctx
        parameters.n_batch = parameters.n_ubatch = n_ubatch
        parameters.n_seq_max = 1
        parameters.n_outputs_max = 1  # logits of one row, not of n_ubatch: saves 0.4 GB
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = FLASH_ATTN_AUTO
        parameters.swa_full = False
        parameters.abort_callback = abort.callback
        parameters.abort_callback_data = abort.data
        last_errors()
        self.handle = self._api.llama_init_from_model(model.handle, parameters)
        if not self.handle:
            raise _failure(f"no context of {n_ctx} tokens")
        self._apply(model.adapters)
        self.n_ctx: int = self._api.llama_n_ctx(self.handle)
        self._n_vocab = model.n_vocab
        self._memory = self._api.llama_get_memory(self.handle)
        self._ids = (self._api.llama_token * n_ubatch)()

    def _apply(self, adapters: Sequence[Any]) -> None:
        """LoRAs at full scale: alpha / rank, or 1 without an alpha."""
        count = len(adapters)
        if not count:
            return
        handles = (self._api.llama_adapter_lora_p_ctypes * count)(*adapters)
        scales = (ctypes.c_float * count)(*[1.0] * count)
        if self._api.llama_set_adapters_lora(self.handle, handles, count, scales):
            self.close()
            raise _failure("the adapter could not be applied")

    def decode(self, ids: Sequence[int]) -> bool:
        """Evaluate at most n_ubatch ids after what is there; False when it was aborted. Raises EngineError."""
        count = len(ids)
        self._ids[:count] = ids  # llama.cpp ends the process when there are more than fit
        last_errors()
        code = self._api.llama_decode(self.handle, self._api.llama_batch_get_one(self._ids, count))
        if code not in (0, ABORTED):
            raise _failure(f"llama.cpp could not decode {count} tokens (code {code})")
        return bool(code == 0)

    def logits(self) -> Row:
        """The logits after the last id, n_vocab floats: llama.cpp's own memory, valid until the next decode."""
        import numpy  # imported late: a command without a model does without

        return numpy.ctypeslib.as_array(self._api.llama_get_logits_ith(self.handle, -1), shape=(self._n_vocab,))

    def first_position(self) -> int:
        """The first position that every layer still holds; sliding-window layers forget. -1: empty."""
        position: int = self._api.llama_memory_seq_pos_min(self._memory, 0)
        return position

    def length(self) -> int:
        """How many positions are held."""
        last: int = self._api.llama_memory_seq_pos_max(self._memory, 0)
        return last + 1

    def truncate(self, length: int) -> None:
        """Forget from position `length` on. llama.cpp says yes even if a window is gone: ask first_position before."""
        self._api.llama_memory_seq_rm(self._memory, 0, length, -1)

    def clear(self) -> None:
        self._api.llama_memory_clear(self._memory, False)

    def state(self) -> Any:
        """All that is held, to be set in another context of the same model."""
        size = self._api.llama_state_seq_get_size(self.handle, 0)
        buffer = (ctypes.c_uint8 * size)()
        self._api.llama_state_seq_get_data(self.handle, buffer, size, 0)
        return buffer

    def set_state(self, buffer: Any) -> bool:
        """Hold what `buffer` has in place of what is held; False, and nothing is held, when it does not fit here."""
        self.clear()
        if self._api.llama_state_seq_set_data(self.handle, buffer, len(buffer), 0) == len(buffer):
            return True
        self.clear()
        return False

    def window(self) -> Any:
        """What the sliding-window layers hold: the part of the state that decoding overwrites. 3 MiB in the 20b."""
        size = self._api.llama_state_seq_get_size_ext(self.handle, 0, PARTIAL_ONLY)
        buffer = (ctypes.c_uint8 * size)()
        self._api.llama_state_seq_get_data_ext(self.handle, buffer, size, 0, PARTIAL_ONLY)
        return buffer

    def set_window(self, buffer: Any) -> bool:
        """Put back what `window` gave when fewer positions were held; whoever calls cuts the rest off."""
        size = len(buffer)
        return bool(self._api.llama_state_seq_set_data_ext(self.handle, buffer, size, 0, PARTIAL_ONLY) == size)

    def close(self) -> None:
        if self.handle:
            self._api.llama_free(self.handle)
            self.handle = None


def devices() -> tuple[str, ...]:
    """What llama.cpp can compute on here, `CPU` last: names of its backends' devices."""
    library = _ggml()
    return tuple(library.ggml_backend_dev_name(device).decode() for device in _devices(library))


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that llama.cpp uses, and their memory now: none where it was built for CPUs.

    As llama.cpp chooses (llama.cpp, llama_prepare_model_devices): integrated ones only when there is no other.
    """
    library = _ggml()
    library.ggml_backend_dev_memory.restype = None
    found: dict[int, list[Gpu]] = {GPU: [], INTEGRATED_GPU: []}
    for device in _devices(library):
        kind = library.ggml_backend_dev_type(device)
        if kind not in found:
            continue
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        name = library.ggml_backend_dev_name(device).decode(errors="replace")
        shared = kind == INTEGRATED_GPU or sys.platform == "darwin"
        found[kind].append(Gpu(name, free.value, total.value, shared))
    return tuple(found[GPU] or found[INTEGRATED_GPU][:1])


def _ggml() -> Any:
    library = api()._lib  # the handle libllama resolved: llama_cpp._ggml maps a second registry
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_name.restype = ctypes.c_char_p
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    return library


def _devices(library: Any) -> list[ctypes.c_void_p]:
    count = library.ggml_backend_dev_count()
    return [ctypes.c_void_p(library.ggml_backend_dev_get(ctypes.c_size_t(place))) for place in range(count)]
