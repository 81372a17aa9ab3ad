"""A chat model that is opened in the background while the user types; whoever needs it waits for it."""

import threading
from collections.abc import Callable, Iterator

from gptoss_cli.chat import LocalChat
from gptoss_cli.messages import Conversation, Event, Progress
from gptoss_cli.options import Options

LOOK_S = 0.1


class Loading:
    """What `opened` returns, once it has; what it raises, whoever asks for the model gets. `start` may be repeated."""

    def __init__(self, opened: Callable[[], LocalChat], changed: Callable[[], None]) -> None:
        """changed: called in another thread when it is there or has failed."""
        self._opened, self._changed = opened, changed
        self._thread: threading.Thread | None = None
        self._done = threading.Event()
        self._chat: LocalChat | None = None
        self._failure: Exception | None = None
        self._closed = False

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._open, name="loading", daemon=True)
            self._thread.start()

    def _open(self) -> None:
        try:
            self._chat = self._opened()
        except Exception as error:  # goes to whoever asks, a bug of ours with its traceback
            self._failure = error
        finally:
            self._done.set()
        if self._closed and self._chat:
            self._chat.close()
        self._changed()

    @property
    def is_ready(self) -> bool:
        return self._chat is not None

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def chat(self) -> LocalChat:
        """The model, waited for; in the main thread Ctrl-C gets through."""
        self._begin()
        return self._waited()

    def progress(self) -> Iterator[Event]:
        """Until the model is there. Raises as `chat`."""
        self._begin()
        while not self._done.wait(LOOK_S):
            yield Progress("load", 0, 0)
        self._waited()

    def _begin(self) -> None:
        """As `start`, and what failed is tried again: it may have been mended."""
        if self._failure is not None:
            self._failure = self._thread = None
            self._done.clear()
        self.start()

    def _waited(self) -> LocalChat:
        while not self._done.wait(LOOK_S):
            pass
        if self._chat is None:
            raise self._failure or AssertionError("opened neither returned nor raised")
        return self._chat

    def reply(self, conversation: Conversation, options: Options) -> Iterator[Event]:
        yield from self.progress()
        yield from self.chat().reply(conversation, options)

    def settle(self, conversation: Conversation) -> None:
        if self._chat:
            self._chat.settle(conversation)

    def keep(self, name: str) -> None:
        if self._chat:
            self._chat.keep(name)

    def count(self, conversation: Conversation) -> int:
        return self.chat().count(conversation)

    def limit(self) -> int:
        return self.chat().limit()

    def close(self) -> None:
        """Free the model, also one that is still being opened."""
        self._closed = True
        if self._chat:
            self._chat.close()
