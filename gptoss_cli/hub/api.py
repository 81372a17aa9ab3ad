"""What the Hub says of a repository: files, sizes, hashes, addresses. The only door to huggingface_hub."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from gptoss_cli import __version__
from gptoss_cli.errors import GptossError, ModelNotFound, NetworkError

ATTEMPTS = 4  # of a question to the Hub; the bytes have their own patience
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
TRANSIENT = (408, 429, 500, 502, 503, 504)
COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")

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
    from huggingface_hub import HfApi  # 0.4 s: only when the Hub is asked

    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # its warnings, some of them the server's, go to stderr
    api = HfApi(endpoint=source.endpoint, token=source.token, library_name="gptoss", library_version=__version__)
    told = _asked(
        lambda: api.model_info(repository, revision=revision, timeout=etag_timeout_s(), files_metadata=True),
        f"{repository} at {revision}" if revision != "main" else repository,
        urlsplit(api.endpoint).netloc,
    )
    files = []
    for each in told.siblings or [] if COMMIT.fullmatch(told.sha or "") else []:
        lfs = each.lfs
        size = lfs.size if lfs else each.size
        sha256, oid = (lfs.sha256 if lfs else None), each.blob_id or ""
        if size is not None and HASH.fullmatch(sha256 or oid) and _is_below(each.rfilename):
            files.append(HubFile(repository, each.rfilename, str(told.sha), size, sha256, oid))
    return tuple(files)


def address(file: HubFile, source: Source) -> Address:
    """Where the bytes of `file` are asked for; the answer may be a redirect to another host."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(file.repository, file.path, revision=file.commit, endpoint=source.endpoint)
    headers = build_hf_headers(token=source.token, library_name="gptoss", library_version=__version__)
    return Address(url, headers)


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
        case ValueError() | KeyError() | TypeError():
            return NetworkError(
                f"{host} does not answer as the Hugging Face Hub does: {_first_line(error)}",
                hint="is HF_ENDPOINT right, and the proxy?",
            )
    raise error


def _refused(status: int, what: str) -> NetworkError:
    if status in (401, 403):
        return NotGiven(f"the Hub does not give {what} (HTTP {status})", hint="set HF_TOKEN, or: hf auth login")
    if status == 429:
        return NetworkError(f"{what}: the Hub wants fewer questions (HTTP 429)", hint="wait, or set HF_TOKEN")
    return NetworkError(f"{what}: the Hub answers HTTP {status}", hint="try again later")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
