"""What the Hub says, and what is made of everything else that may come back instead."""

import inspect
import socket
from pathlib import Path

import httpx2
import pytest
from hub_server import HubServer, Repository
from huggingface_hub import errors
from pulling import FIRST, NAME, SECOND, THIRD, Place, weights

from gptoss_cli.errors import BadInput, GptossError, ModelNotFound, NetworkError
from gptoss_cli.hub.api import NotGiven, Source, Unreachable, listing, translated
from gptoss_cli.messages import Notice


def test_the_files_of_a_repository(place: Place) -> None:
    files = {file.path: file for file in listing(FIRST, "main", place.source)}
    assert set(files) == {NAME, "README.md"}
    model, readme = files[NAME], files["README.md"]
    assert model.size_bytes == len(weights(1))
    assert model.sha256 == model.etag
    assert (readme.sha256, readme.etag) == (None, readme.git_oid)
    assert {file.commit for file in files.values()} == {place.server.repositories[FIRST].commit}


@pytest.mark.parametrize(
    "path", ["../../x-mxfp4.gguf", "/tmp/x-mxfp4.gguf", "a/../../x-mxfp4.gguf", "..\\x-mxfp4.gguf"]
)
def test_a_path_that_leaves_the_repository_is_passed_over(path: str, place: Place) -> None:
    place.server.repositories["o/r"] = Repository({path: weights(1), NAME: weights(2)})
    assert [file.path for file in listing("o/r", "main", place.source)] == [NAME]


def test_a_repository_that_is_not_there(place: Place) -> None:
    with pytest.raises(ModelNotFound, match="the Hub has no repository o/none, or it is private"):
        listing("o/none", "main", place.source)
    with pytest.raises(ModelNotFound, match=f"the Hub has no {FIRST} at v2"):
        listing(FIRST, "v2", place.source)


def test_a_private_repository_is_given_to_its_token(place: Place) -> None:
    place.server.repositories["o/private"] = Repository({NAME: weights(1)}, private_for="hf_secret")
    assert listing("o/private", "main", place.source)
    with pytest.raises(ModelNotFound, match="or it is private"):
        listing("o/private", "main", Source(place.cache, place.server.endpoint, "hf_other"))


def test_a_gated_repository_says_what_to_do(place: Place) -> None:
    place.server.repositories["o/gated"] = Repository({NAME: weights(1)}, gated=True)
    place.token = False
    with pytest.raises(NotGiven, match="the Hub does not give") as raised:
        place.pull("hf:o/gated")
    assert raised.value.hint == "accept its terms at https://huggingface.co/o/gated and set HF_TOKEN, or: hf auth login"
    assert raised.value.exit_code == 5


def test_no_way_to_the_hub(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached") as raised:
        listing(FIRST, "main", Source(tmp_path, f"http://127.0.0.1:{port}"))
    assert raised.value.exit_code == 5


@pytest.mark.parametrize("status", [403, 418, 503])
def test_a_hub_that_answers_otherwise(status: int, place: Place) -> None:
    place.server.troubles.hub_statuses = [(status, {"Retry-After": "0"})] * 10
    with pytest.raises(NetworkError, match=f"HTTP {status}"):
        listing(FIRST, "main", place.source)


def test_a_server_that_is_no_hub(place: Place) -> None:
    place.server.troubles.hub_statuses = [(200, {})]
    with pytest.raises(NetworkError, match="does not answer as the Hugging Face Hub does"):
        listing(FIRST, "main", place.source)


def test_an_endpoint_with_a_path(tmp_path: Path) -> None:
    server = HubServer({FIRST: Repository({NAME: weights(1)})}, prefix="/mirror/hf")
    with server.running():
        place = Place(server, tmp_path)
        place.pull()
        assert place.content() == weights(1)


def test_the_next_repository_of_the_catalogue_is_tried(place: Place) -> None:
    content = place.server.repositories.pop(FIRST).files[NAME]
    place.server.repositories[SECOND] = Repository({"eagle3-x.gguf": weights(3)})
    place.server.repositories[THIRD] = Repository({NAME: content})
    assert place.notices() == [
        f"the Hub has no repository {FIRST}, or it is private; trying {SECOND}",
        f"hf:{SECOND} is not there; trying {THIRD}",
    ]
    assert place.content() == content


def test_a_gated_repository_of_the_catalogue_is_passed_over(place: Place) -> None:
    place.server.repositories[FIRST].gated = True
    place.server.repositories[SECOND] = Repository({"gpt-oss-20b-Q8_0.gguf": weights(3), "x-F16.gguf": weights(4)})
    place.token = False
    (notice,) = [event for event in place.pull() if isinstance(event, Notice)]
    assert notice.text.endswith(f"trying {SECOND}")
    assert place.content("gpt-oss-20b-Q8_0.gguf") == weights(3)


def test_none_of_the_catalogue_is_there(place: Place) -> None:
    place.server.repositories.clear()
    with pytest.raises(ModelNotFound, match=f"the Hub has no repository {FIRST}"):
        place.pull()


def test_what_is_no_gpt_oss_is_said(place: Place) -> None:
    place.server.repositories["o/other"] = Repository({"m.gguf": weights(5, **{"general.architecture": "llama"})})
    with pytest.raises(BadInput, match="is a llama model; gptoss runs gpt-oss only"):
        place.pull("hf:o/other")


def test_every_error_of_the_libraries_is_one_of_ours() -> None:
    request = httpx2.Request("GET", "https://hub.test/x")
    response = httpx2.Response(400, request=request)
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.HfHubHTTPError):
            told = translated(kind("refused", response=response), "o/r", "hub.test")
            assert isinstance(told, GptossError), name
    for name, kind in inspect.getmembers(httpx2, inspect.isclass):
        if issubclass(kind, httpx2.TransportError):
            assert isinstance(translated(kind("broken"), "o/r", "hub.test"), NetworkError), name
    for other in (errors.HFValidationError("no"), errors.OfflineModeIsEnabled("no"), ValueError("no"), OSError("no")):
        assert isinstance(translated(other, "o/r", "hub.test"), GptossError)
    with pytest.raises(ZeroDivisionError):
        translated(ZeroDivisionError(), "o/r", "hub.test")
