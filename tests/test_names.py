"""Names, references and the catalogue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptoss_cli.errors import BadInput
from gptoss_cli.names import (
    ALIASES,
    BUILDS,
    HubReference,
    ModelName,
    canonical,
    is_hub_reference,
    parse_hub_reference,
)


@pytest.mark.parametrize(
    ("text", "expected", "shortest"),
    [
        ("model", ModelName("model"), "model"),
        ("model:latest", ModelName("model"), "model"),
        ("model:LATEST", ModelName("model", "LATEST"), "model"),
        ("namespace/model", ModelName("model", namespace="namespace"), "namespace/model"),
        ("namespace/model:tag", ModelName("model", "tag", "namespace"), "namespace/model:tag"),
        ("_the/_lucky:_stiff", ModelName("_lucky", "_stiff", "_the"), "_the/_lucky:_stiff"),
        ("n/m:t", ModelName("m", "t", "n"), "n/m:t"),
        ("gpt-oss:20b", ModelName("gpt-oss", "20b"), "gpt-oss:20b"),
        ("a.b-c_d:7b-v2.6-q6_K", ModelName("a.b-c_d", "7b-v2.6-q6_K"), "a.b-c_d:7b-v2.6-q6_K"),
        ("m" * 80 + ":" + "t" * 80, ModelName("m" * 80, "t" * 80), "m" * 80 + ":" + "t" * 80),
    ],
)
def test_names(text: str, expected: ModelName, shortest: str) -> None:
    assert ModelName.parse(text) == expected
    assert str(expected) == shortest
    assert ModelName.parse(str(expected)).parts == expected.parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n/m:",
        "@t",
        "m@d",
        "^",
        "mm:",
        "/nn/mm",
        "//",
        "//mm",
        "hh//",
        "//mm:@",
        "00@",
        "@",
        "-h/m",
        "-m",
        "m:-t",
        "a./b",
        "host/namespace/model",
        "a b",
        "你好",
        "m" * 81,
        "m:" + "t" * 81,
        "n" * 81 + "/m",
        "..",
        ".",
        "m\n",
        "a/../b",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(BadInput, match="is no model name"):
        ModelName.parse(text)


def test_capitals_do_not_tell_names_apart() -> None:
    assert (
        ModelName.parse("Mine/Model:Tag").parts == ModelName.parse("mine/mODEL:tAG").parts == ("mine", "model", "tag")
    )
    assert ModelName.parse("library/x") == ModelName.parse("x")


@given(st.text())
def test_any_text_is_a_name_or_bad_input(text: str) -> None:
    try:
        name = ModelName.parse(text)
    except BadInput:
        return
    assert ModelName.parse(str(name)).parts == name.parts
    assert "/" not in name.model + name.tag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:ggml-org/gpt-oss-20b-GGUF", HubReference("ggml-org/gpt-oss-20b-GGUF")),
        ("hf:o/r:Q4_K_M", HubReference("o/r", quant="Q4_K_M")),
        ("hf:o/r:gpt-oss-20b-mxfp4.gguf", HubReference("o/r", file="gpt-oss-20b-mxfp4.gguf")),
        ("hf:o/r:Q8_0/x-00001-of-00003.gguf", HubReference("o/r", file="Q8_0/x-00001-of-00003.gguf")),
        ("hf.co/o/r:F16", HubReference("o/r", quant="F16")),
        ("HF.co/o/r", HubReference("o/r")),
        ("huggingface.co/o/r", HubReference("o/r")),
        ("https://huggingface.co/o/r", HubReference("o/r")),
        ("https://huggingface.co/o/r/", HubReference("o/r")),
        ("https://huggingface.co/o/r/tree/v2", HubReference("o/r", revision="v2")),
        ("https://hf.co/o/r/blob/main/a/b%20c.gguf?x=1#y", HubReference("o/r", file="a/b c.gguf")),
        ("https://huggingface.co/o/r/resolve/0f1e/a.gguf", HubReference("o/r", file="a.gguf", revision="0f1e")),
    ],
)
def test_references(text: str, expected: HubReference) -> None:
    assert is_hub_reference(text)
    assert parse_hub_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf:", "names no repository"),
        ("hf:o", "names no repository"),
        ("hf:o/r/x", "names no repository"),
        ("hf:../r", "names no repository"),
        ("hf:o/r:a b", "is no quantisation"),
        ("hf:o/r:../x.gguf", "is no GGUF file"),
        ("https://huggingface.co/", "names no repository"),
        ("https://huggingface.co/o", "names no repository"),
        ("https://huggingface.co/o/r/blob/main/README.md", "is no GGUF file"),
        ("https://huggingface.co/o/r/blob/main/%2e%2e/x.gguf", "is no GGUF file"),
        ("https://example.com/o/r", "is not on the Hugging Face Hub"),
        ("https://", "is not on the Hugging Face Hub"),
    ],
)
def test_references_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_hub_reference(text)


def test_the_catalogue_knows_other_spellings() -> None:
    for text, name in {**ALIASES, "GPT-OSS:20B": "gpt-oss:20b", "gpt-oss:120b": "gpt-oss:120b"}.items():
        assert canonical(text) == name
        assert name in BUILDS
    assert canonical("gpt-oss:7b") is None
    assert not is_hub_reference("gpt-oss:20b")
    assert not is_hub_reference("hfx/model")
