"""Whether a GGUF is a LoRA for a given gpt-oss. Loads nothing.

llama.cpp checks less (src/llama-adapter.cpp): a value of an unexpected type ends its process, and experts that are not
there are read from beyond the tensor.
"""

from collections.abc import Sequence

from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import Header, Tensor

A, B = ".lora_a", ".lora_b"
ALPHA, INVOCATION = "adapter.lora.alpha", "adapter.alora.invocation_tokens"
FLOAT32 = b"\x06\0\0\0"  # as the type of a value; docs/gguf.md of ggml
NO_MATRIX = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K", "MXFP4_OLLAMA")

Pairs = dict[str, dict[str, Tensor]]


def check_usable(adapter: Header, model: Sequence[Header]) -> None:
    """Raise BadInput, saying why, unless `adapter` is a LoRA for the model whose parts have these headers."""
    if reason := _why_no_lora(adapter) or _why_not_for(_pairs(adapter), model):
        raise BadInput(f"{adapter.path} {reason}")


def _why_no_lora(header: Header) -> str | None:
    kind, architecture = header.text("general.type"), header.architecture
    if kind != "adapter":
        return f"is no adapter: it is a {architecture or 'nameless'} {kind or 'model'}"
    if (method := header.text("adapter.type")) != "lora":
        return f"is an adapter of the type {method or 'unknown'}; lora is the one that can be used"
    if architecture != "gpt-oss":
        return f"is an adapter for {architecture or 'a nameless model'}; gptoss runs gpt-oss only"
    if INVOCATION in header.values:
        return "is an activated LoRA, which would be in force all the time here"
    if ALPHA in header.values and header.raw(ALPHA)[:4] != FLOAT32:
        return f"is damaged: {ALPHA} is no F32 number"
    return None


def _pairs(header: Header) -> Pairs:
    """Both matrices by the name of the tensor they are for; llama.cpp leaves out norms."""
    pairs: Pairs = {}
    for tensor in header.tensors:
        for end in (A, B):
            if tensor.name.endswith(end):
                pairs.setdefault(tensor.name.removesuffix(end), {})[end] = tensor
                break
        else:
            if not tensor.name.endswith("_norm.weight"):
                raise BadInput(f"{header.path} has a tensor {tensor.name!r}, which is neither {A} nor {B}")
    return pairs


def _why_not_for(pairs: Pairs, model: Sequence[Header]) -> str | None:
    tensors = {tensor.name: tensor for header in model for tensor in header.tensors}
    if not pairs:
        return "has no matrices"
    for name, pair in pairs.items():
        if len(pair) < 2:
            return f"has only one matrix for {name!r}"
        if name not in tensors:
            return f"is for another model: this one has no tensor {name!r}"
        if bad := [each.type for each in pair.values() if each.type in NO_MATRIX]:
            return f"has a matrix of {bad[0]} for {name!r}, which cannot be multiplied"
        if not _fits(name, tensors[name], pair[A], pair[B]):
            shapes = " and ".join(" x ".join(map(str, each.shape)) for each in (pair[A], pair[B]))
            wanted = " x ".join(map(str, tensors[name].shape))
            return f"is for another model: {shapes} cannot change {name!r}, which is {wanted}"
    return None


def _fits(name: str, tensor: Tensor, a: Tensor, b: Tensor) -> bool:
    """Whether B times A has the shape of the tensor, for every expert. The fastest dimension is first."""
    (width, height, *experts), shape_a, shape_b = _four(tensor), _four(a), _four(b)
    if shape_a[2:] != experts or shape_b[2:] != experts:
        return False
    if name == "token_embd.weight":  # looked up, not multiplied: A has a row per token
        return shape_a[:2] == [shape_b[0], height] and shape_b[1] == width
    return shape_a[0] == width and shape_b[:2] == [shape_a[1], height]


def _four(tensor: Tensor) -> list[int]:
    return [*tensor.shape, 1, 1, 1][:4]
