"""What the Hub says of a repository: files, sizes, hashes, addresses. The only door to huggingface_hub."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from gptoss_cli import __version__
from gptoss_cli.errors import GptossError, ModelNotFound, NetworkError

ATTEMPTS = 4  # of a question to the Hub; the bytes have their own patience
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
TRANSIENT = (408, 429, 500, 502, 503, 504)
COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A Hub, and the cache for what comes from it.

    endpoint, token: None leaves them to huggingface_hub; a token that is False is none.
    """

    cache: Path
    endpoint: str | None = None
    token: str | Literal[False] | None = None


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at one commit. sha256: of its bytes, None for a small one that git itself keeps."""

    repository: str
    path: str
    commit: str
    size_bytes: int
    sha256: str | None
    git_oid: str

    @property
    def etag(self) -> str:
        """What the Hub calls the content, and the cache its blob."""
        return self.sha256 or self.git_oid


@dataclass(frozen=True)
class Address:
    """Where a file is asked for. headers: with the token, for this very host and no other."""

    url: str
    headers: Mapping[str, str]


class NotGiven(NetworkError):
    """The Hub does not give this repository to everybody, or not to this token."""


class Unreachable(NetworkError):
    """No way to the Hub: offline by wish, or no network. What is cached can still be used."""


def listing(repository: str, revision: str, source: Source) -> tuple[HubFile, ...]:
    """The files of a repository. Raises ModelNotFound, NotGiven, Unreachable and NetworkError."""
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # 0.2 s; HfApi takes 0.3

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # its warnings, some of them the server's, go to stderr
    url = f"{_endpoint(source)}/api/models/{repository}/revision/{quote(revision, safe='')}"

    def question() -> tuple[HubFile, ...]:
        headers, wait_s = _headers(source), etag_timeout_s()
        response = session().get(url, headers=headers, params={"blobs": True}, timeout=wait_s)
        hf_raise_for_status(response)
        return _read(repository, response.json())

    what = f"{repository} at {revision}" if revision != "main" else repository
    return _asked(question, what, urlsplit(url).netloc)


def address(file: HubFile, source: Source) -> Address:
    """Where the bytes of `file` are asked for; the answer may be a redirect to another host."""
    url = f"{_endpoint(source)}/{file.repository}/resolve/{file.commit}/{quote(file.path)}"
    return Address(url, _headers(source))


def session() -> "httpx2.Client":
    """The client of this process, with its proxies and certificates; any number of threads may use it. Not to close."""
    from huggingface_hub import get_session  # another client of our own would cost 30 ms

    return get_session()


def _endpoint(source: Source) -> str:
    from huggingface_hub import constants

    return source.endpoint or constants.ENDPOINT


def _headers(source: Source) -> dict[str, str]:
    """Who asks, and the token if there is one."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    return dict(build_hf_headers(token=source.token, library_name="gptoss", library_version=__version__))


def _read(repository: str, told: dict[str, Any]) -> tuple[HubFile, ...]:
    """The files of what `GET /api/models/REPOSITORY/revision/REVISION?blobs=true` answers.

    Passed over: what has no hash, and paths that would leave the repository's folder.
    """
    commit, files = str(told["sha"]), []
    if not COMMIT.fullmatch(commit):
        raise ValueError(f"{commit!r} is no commit")
    for each in told["siblings"]:
        lfs = each.get("lfs") or {}
        path, size = str(each["rfilename"]), lfs.get("size", each.get("size"))
        sha256, oid = lfs.get("sha256"), each.get("blobId") or ""
        if isinstance(size, int) and HASH.fullmatch(str(sha256 or oid)) and _is_below(path):
            files.append(HubFile(repository, path, commit, size, sha256, oid))
    return tuple(files)


def etag_timeout_s() -> float:
    from huggingface_hub import constants

    return float(constants.HF_HUB_ETAG_TIMEOUT)


def download_timeout_s() -> float:
    from huggingface_hub import constants

    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What a server asks to wait, at most a minute; None when it says nothing or a date."""
    text = headers.get("retry-after", "").strip()
    return min(float(text), LONGEST_WAIT_S) if text.isdecimal() else None


def _is_below(path: str) -> bool:
    """Whether a path stays in the folder of its repository, whatever a server says."""
    return "\\" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def _asked(question: Callable[[], T], what: str, host: str) -> T:
    """The answer to `question`, asked again while the trouble may pass."""
    import httpx2
    from huggingface_hub import errors

    wait_s = FIRST_WAIT_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return question()
        except (httpx2.TimeoutException, httpx2.ReadError, httpx2.RemoteProtocolError, errors.HfHubHTTPError) as error:
            if attempt == ATTEMPTS or not _may_pass(error):
                raise translated(error, what, host) from error
            asked_s = retry_after_s(error.response.headers) if isinstance(error, errors.HfHubHTTPError) else None
        except Exception as error:  # foreign code: what it raises is told apart below
            raise translated(error, what, host) from error
        time.sleep(wait_s if asked_s is None else asked_s)
        wait_s *= 2
    raise AssertionError("the last attempt returns or raises")


def _may_pass(error: Exception) -> bool:
    from huggingface_hub import errors

    return not isinstance(error, errors.HfHubHTTPError) or error.response.status_code in TRANSIENT


def translated(error: Exception, what: str, host: str) -> GptossError:
    """One of ours for what huggingface_hub and httpx2 raise; the error itself goes on when it is a bug of ours."""
    import httpx2
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            page = f"https://huggingface.co/{what.split(' ')[0]}"
            return NotGiven(f"{what} is gated", hint=f"accept its terms at {page} and set HF_TOKEN, or: hf auth login")
        case errors.RepositoryNotFoundError() | errors.DisabledRepoError():
            return ModelNotFound(
                f"the Hub has no repository {what}, or it is private", hint="for a private one set HF_TOKEN"
            )
        case errors.RevisionNotFoundError() | errors.EntryNotFoundError():
            return ModelNotFound(f"the Hub has no {what}")
        case errors.HFValidationError():
            return ModelNotFound(f"{what} is no repository: {_first_line(error)}")
        case errors.OfflineModeIsEnabled():
            return Unreachable("offline, because HF_HUB_OFFLINE is set")
        case errors.HfHubHTTPError():
            return _refused(error.response.status_code, what)
        case httpx2.TimeoutException():
            return Unreachable(f"{host} does not answer", hint="HF_HUB_ETAG_TIMEOUT=30 waits longer")
        case httpx2.TransportError():
            return Unreachable(f"{host} cannot be reached: {_first_line(error)}")
        case httpx2.HTTPError() | httpx2.InvalidURL() | OSError():
            return NetworkError(f"{what}: {_first_line(error)}")
        case ValueError() | KeyError() | TypeError() | AttributeError():
            return NetworkError(
                f"{host} does not answer as the Hugging Face Hub does: {_first_line(error)}",
                hint="is HF_ENDPOINT right, and the proxy?",
            )
    raise error


def _refused(status: int, what: str) -> NetworkError:
    if status in (401, 403):
        return NotGiven(f"the Hub does not give {what} (HTTP {status})", hint="is HF_TOKEN right? or: hf auth login")
    if status == 429:
        return NetworkError(f"{what}: the Hub wants fewer questions (HTTP 429)", hint="wait, or set HF_TOKEN")
    return NetworkError(f"{what}: the Hub answers HTTP {status}", hint="try again later")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
