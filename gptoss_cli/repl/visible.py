"""What a terminal obeys and prompt_toolkit passes on, shown by its code: directions in pastes and in names of files."""

from bisect import bisect_right

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments

from gptoss_cli.terminal import safe


def visible(text: str) -> str:
    """`text` with what `terminal.safe` would leave out as `<U+202E>`."""
    return "".join(each if safe(each) else f"<U+{ord(each):04X}>" for each in text)


class VisibleProcessor(Processor):
    """Shows the line that is edited so; what is edited stays as it is. C0 and C1 are shown by prompt_toolkit: ^[."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        if fragment_list_to_text(fragments).isascii():
            return Transformation(fragments)
        shown: StyleAndTextTuples = []
        starts, width = [0], 0  # where each character stands in what is shown, and where the line ends
        for style, char, *_ in explode_text_fragments(fragments):
            text = char if ord(char) < 0xA0 else visible(char)
            shown.append((style if text == char else f"{style} class:control", text))
            width += len(text)
            starts.append(width)
        return Transformation(
            shown,
            source_to_display=lambda at: starts[at] if at < len(starts) else width + at - len(starts) + 1,
            display_to_source=lambda at: bisect_right(starts, at) - 1 if at <= width else at - width + len(starts) - 1,
        )
