"""An engine that replies with given Harmony: for tests in which the words of a reply matter."""

from collections.abc import Generator

from gptoss_cli.engine import EngineInfo, Enough, Step, Timings, Token
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a reply written with its control tokens."""
    ids: list[int] = []
    while text:
        name = min((name for name in tokenizer.specials if name in text), key=text.find, default="")
        before, _, text = text.partition(name) if name else (text, "", "")
        ids += tokenizer.encode(before)
        ids += [tokenizer.specials[name]] if name else []
    return ids


class ScriptedEngine:
    """Yields the ids of one reply after another, whatever the prompt; keeps the prompts it was given.

    A reply that does not end with a stop token ends as if the context were full.
    """

    def __init__(self, tokenizer: Tokenizer, *replies: str) -> None:
        self._tokenizer = tokenizer
        self._replies = [ids_of(tokenizer, reply) for reply in replies]
        self.prompts: list[Prompt] = []
        self.stopped_early = 0
        self.closed = False

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", 8192, 131072, self._tokenizer.n_vocab, 0, ())

    def generate(
        self, prompt: Prompt, sampling: Sampling, guide: Guide | None = None
    ) -> Generator[Token | Step, None, Timings]:
        self.prompts.append(prompt)
        count = len(prompt.tokens)
        finish = "context"
        try:
            yield Step("prompt", count, count)
            for id in self._replies.pop(0):
                yield Token(id)
                if id in prompt.stop:
                    finish = "stop"
                    break
        except Enough:
            self.stopped_early += 1
            finish = "stop"
        except GeneratorExit:
            self.stopped_early += 1
            raise
        return Timings(count, 0, 0, 0.1, 0.2, 0.3, finish)

    def prepare(self, prompt: Prompt) -> None:
        pass

    def keep(self, name: str) -> None:
        pass

    def close(self) -> None:
        self.closed = True
