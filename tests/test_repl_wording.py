"""A chat names its commands where other commands have flags."""

import pytest

from gptoss_cli.repl.wording import in_chat


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "raise --num-ctx, or think less: --reasoning low, --max-thinking N",
            "raise /set parameter num_ctx (/compact makes room, too), or think less: "
            "/set reasoning low, /set parameter max_thinking N",
        ),
        ("answer cut at 5 tokens (--max-tokens)", "answer cut at 5 tokens (/set parameter max_tokens)"),
        ("--force, or fewer --gpu-layers; a -- b --x", "--force, or fewer --gpu-layers; a -- b --x"),
    ],
)
def test_flags_become_commands(text: str, said: str) -> None:
    assert in_chat(text) == said
