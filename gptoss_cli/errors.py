"""The one family of errors a user can meet; each class names its exit code, HTTP status and code.

Exit codes are an API (docs/exit-codes.md): add, never renumber.
"""


class GptossError(Exception):
    """What a user can cause or mend: one clear line, perhaps a hint what to do, and an exit code.

    The message starts in lower case, has no full stop and contains the value it is about.
    """

    exit_code = 1
    http_status = 500
    code = "E_FAILED"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class BadInput(GptossError):
    """A flag, a name, a Modelfile or a file that cannot be understood."""

    exit_code = 2
    http_status = 400
    code = "E_INPUT"


class ModelfileError(GptossError):
    """A Modelfile that cannot be understood: file, line, column, what is wrong, and the line with a caret."""

    exit_code = 2
    http_status = 400
    code = "E_MODELFILE"


class ModelNotFound(GptossError):
    """A model that is not known, or known but not on this machine; a missing path too."""

    exit_code = 3
    http_status = 404
    code = "E_MODEL_NOT_FOUND"


class SessionNotFound(GptossError):
    """A saved chat that is not there."""

    exit_code = 3
    http_status = 404
    code = "E_SESSION_NOT_FOUND"


class DoesNotFit(GptossError):
    """The model or its context needs more memory than there is."""

    exit_code = 4
    http_status = 507
    code = "E_MEMORY"


class NetworkError(GptossError):
    """A download or a connection failed, or the disk is full; what was fetched is kept."""

    exit_code = 5
    http_status = 502
    code = "E_NETWORK"


class NoAnswer(GptossError):
    """The reply never reached its final channel, or the prompt is longer than the context."""

    exit_code = 6
    http_status = 422
    code = "E_NO_ANSWER"


class SchemaViolation(GptossError):
    """The answer does not match the schema that was asked for."""

    exit_code = 7
    http_status = 422
    code = "E_SCHEMA"


class EngineError(GptossError):
    """llama.cpp refused or failed; the message carries its last error line."""

    exit_code = 8
    http_status = 500
    code = "E_ENGINE"
