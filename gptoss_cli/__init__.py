"""gptoss: run OpenAI's gpt-oss models from a terminal."""

__version__ = "0.1.0"
