"""How `gptoss run` goes on with a saved session and saves to it."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gptoss_cli.errors import GptossError, SessionNotFound
from gptoss_cli.history import History, Saved
from gptoss_cli.history.journal import Journal
from gptoss_cli.messages import Message
from gptoss_cli.options import Options
from gptoss_cli.session import Session
from gptoss_cli.terminal import Screen


@dataclass
class Saving:
    """Where one question and its answer go: into a session that goes on, a new one, or nowhere (history None)."""

    history: History | None = None
    saved: Saved | None = None
    journal: Journal | None = None
    turns: Sequence[Sequence[Message]] = ()

    @classmethod
    def opened(cls, history: History, *, last: bool, save: bool) -> "Saving":
        """last: go on with the session that changed last; save: begin a new one. Raises SessionNotFound."""
        if not last:
            return cls(history if save else None)
        found = history.sessions(1)
        if not found:
            raise SessionNotFound("there is no saved chat to continue yet", hint="gptoss run --save begins one")
        return cls(history, found[0], turns=[turn.messages for turn in history.turns(found[0].id)])

    @property
    def model(self) -> str | None:
        """The model of the session that goes on."""
        return self.saved.model if self.saved else None

    @property
    def options(self) -> dict[str, object]:
        """The options that the session had."""
        options = self.saved.settings.get("options") if self.saved else None
        return dict(options) if isinstance(options, Mapping) else {}

    def system(self, other: str | None) -> str | None:
        """The system text that the session had; `other` for a new one."""
        if self.saved is None:
            return other
        system = self.saved.settings.get("system")
        return system if isinstance(system, str) else None

    @property
    def date(self) -> str:
        """YYYY-MM-DD: when the session began."""
        date = self.saved.settings.get("date") if self.saved else None
        return date if isinstance(date, str) else datetime.date.today().isoformat()

    def begin(self, model: str, system: str | None, options: Options, screen: Screen) -> Journal | None:
        """What writes the turns; None when nothing is saved, of which a failure is told and is none of the answer's."""
        if self.history is None:
            return None
        settings = {"system": system, "date": self.date, "options": options.changed()}
        try:
            if self.saved is None:
                self.saved = self.history.begin(model, settings)
            self.journal = Journal(self.history, self.saved.id)
        except GptossError as error:
            screen.say(f"this answer is not saved: {error}")
        return self.journal

    def session(self, session: Session) -> str | None:
        """The id of the saved session, when the answer is in it."""
        return self.journal.id if self.journal and session.record.is_whole else None

    def close(self) -> None:
        if self.history:
            self.history.close()
