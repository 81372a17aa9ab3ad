"""Which files a reference means, for repositories as they are published."""

import pytest

from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.hub.choose import candidates, choose
from gptoss_cli.names import HubReference, parse_hub_reference

GGML = ["README.md", "gpt-oss-20b-mxfp4.gguf", "eagle3-gpt-oss-20b-Q8_0.gguf", "mmproj-x.gguf", "mtp-gpt-oss.gguf"]
SPLIT = [f"gpt-oss-120b-mxfp4-0000{part}-of-00003.gguf" for part in (1, 2, 3)]
UNSLOTH = [
    *(f"gpt-oss-20b-{quant}.gguf" for quant in ("F16", "Q8_0", "Q4_K_M", "Q4_K_S", "Q4_0", "UD-Q4_K_XL", "UD-Q8_K_XL")),
    "imatrix_unsloth.gguf_file",
]
FOLDERS = [
    *(f"Q8_0/gpt-oss-120b-Q8_0-0000{part}-of-00002.gguf" for part in (1, 2)),
    *(f"UD-Q4_K_XL/gpt-oss-120b-UD-Q4_K_XL-0000{part}-of-00002.gguf" for part in (1, 2)),
]
BARTOWSKI = ["openai_gpt-oss-20b-MXFP4_MOE.gguf", "openai_gpt-oss-20b-Q8_0.gguf", "openai_gpt-oss-20b-imatrix.gguf"]


@pytest.mark.parametrize(
    ("paths", "wanted", "chosen"),
    [
        (GGML, "", "gpt-oss-20b-mxfp4.gguf"),
        (GGML, "mxfp4", "gpt-oss-20b-mxfp4.gguf"),
        (GGML, "gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b-mxfp4.gguf"),
        (["dflash-x.gguf", "only.gguf"], "", "only.gguf"),
        (UNSLOTH, "Q4_K_M", "gpt-oss-20b-Q4_K_M.gguf"),
        (UNSLOTH, "Q4_K_XL", "gpt-oss-20b-UD-Q4_K_XL.gguf"),
        (UNSLOTH, "ud-q4_k_xl", "gpt-oss-20b-UD-Q4_K_XL.gguf"),
        (UNSLOTH, "F16", "gpt-oss-20b-F16.gguf"),
        (BARTOWSKI, "", "openai_gpt-oss-20b-MXFP4_MOE.gguf"),
        (BARTOWSKI, "MXFP4", "openai_gpt-oss-20b-MXFP4_MOE.gguf"),
        (["gpt-oss-20b-MXFP4.gguf", "gpt-oss-20b-mxfp4.gguf"], "", "gpt-oss-20b-MXFP4.gguf"),
        ([*SPLIT, "gpt-oss-120b-mxfp4.gguf"], "", "gpt-oss-120b-mxfp4.gguf"),
        (["a/deep/m-Q8_0.gguf", "b/m-F16.gguf"], "m-F16.gguf", "b/m-F16.gguf"),
    ],
)
def test_one_file_is_meant(paths: list[str], wanted: str, chosen: str) -> None:
    assert choose(paths, parse_hub_reference(f"hf:o/r:{wanted}" if wanted else "hf:o/r")) == (chosen,)


@pytest.mark.parametrize(
    ("paths", "wanted", "chosen"),
    [
        (SPLIT, "", SPLIT),
        (SPLIT[::-1], "MXFP4", SPLIT),
        (SPLIT, SPLIT[0], SPLIT),
        (SPLIT, SPLIT[2], SPLIT),
        (FOLDERS, "Q8_0", FOLDERS[:2]),
        (FOLDERS, "UD-Q4_K_XL", FOLDERS[2:]),
        (FOLDERS, "gpt-oss-120b-Q8_0-00001-of-00002.gguf", FOLDERS[:2]),
    ],
)
def test_a_split_model_is_meant_whole(paths: list[str], wanted: str, chosen: list[str]) -> None:
    assert choose(paths, parse_hub_reference(f"hf:o/r:{wanted}" if wanted else "hf:o/r")) == tuple(chosen)


@pytest.mark.parametrize(
    ("paths", "wanted", "message", "hint"),
    [
        (["README.md", "eagle3-x.gguf"], "", "hf:o/r is not there", "there is no GGUF of a model in it"),
        (GGML, "Q4_K_M", "hf:o/r:Q4_K_M is not there", "there is: MXFP4"),
        (UNSLOTH, "Q4_K", "hf:o/r:Q4_K is not there", "Q4_K_M"),
        (UNSLOTH, "none.gguf", "hf:o/r:none.gguf is not there", "UD-Q4_K_XL"),
        (SPLIT[:2], "", "hf:o/r is not there", "no GGUF"),
        (SPLIT[:2], SPLIT[0], "parts of the split model are missing", ""),
    ],
)
def test_nothing_fits(paths: list[str], wanted: str, message: str, hint: str) -> None:
    with pytest.raises(ModelNotFound, match=message) as raised:
        choose(paths, parse_hub_reference(f"hf:o/r:{wanted}" if wanted else "hf:o/r"))
    assert hint in str(raised.value.hint)


def test_several_fit_and_are_named() -> None:
    with pytest.raises(BadInput, match="hf:o/r could be any of 7 models") as raised:
        choose(UNSLOTH, HubReference("o/r"))
    assert raised.value.hint == "there is: F16, Q4_0, Q4_K_M, Q4_K_S, Q8_0, UD-Q4_K_XL, UD-Q8_K_XL"
    with pytest.raises(BadInput) as raised:
        choose(["a-Q8_0.gguf", "b-Q8_0.gguf"], HubReference("o/r", quant="Q8_0"))
    assert raised.value.hint == "there is: a-Q8_0.gguf, b-Q8_0.gguf"


def test_a_name_of_the_catalogue_takes_what_is_nearest_to_the_original() -> None:
    assert choose(UNSLOTH, HubReference("o/r"), any_build=True) == ("gpt-oss-20b-Q8_0.gguf",)


def test_a_companion_is_not_to_be_had_by_its_name_either() -> None:
    with pytest.raises(BadInput, match="lies beside the model"):
        choose(GGML, HubReference("o/r", file="mmproj-x.gguf"))


def test_quantisations_are_read_from_names() -> None:
    labels = {
        each.name: each.label for each in candidates([*GGML, *SPLIT, *UNSLOTH, *BARTOWSKI, "x-bf16.gguf", "y.gguf"])
    }
    assert labels["gpt-oss-20b-mxfp4.gguf"] == labels[SPLIT[0]] == "MXFP4"
    assert labels["openai_gpt-oss-20b-MXFP4_MOE.gguf"] == "MXFP4_MOE"
    assert labels["gpt-oss-20b-UD-Q4_K_XL.gguf"] == "UD-Q4_K_XL"
    assert (labels["x-bf16.gguf"], labels["y.gguf"]) == ("BF16", "")
