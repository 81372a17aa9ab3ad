"""Downloads from a server that cuts, stalls, lies and changes its mind; and from disks that lose or have no room."""

import os
from pathlib import Path
from random import Random

import pytest
from hub_server import HubServer, Repository
from pulling import CHUNK, FIRST, NAME, Place, weights

from gptoss_cli.engine.machine import available_memory
from gptoss_cli.errors import GptossError, NetworkError
from gptoss_cli.hub.download import Tuning
from gptoss_cli.hub.part import partials
from gptoss_cli.library.pull import Fetching, FileStarted, Pulled
from gptoss_cli.messages import Notice, Progress

WHOLE = weights(1)


def stop_after(place: Place, count: int) -> None:
    """A pull that is closed when about so many bytes have come."""
    place.server.troubles.bytes_per_s = 3e6
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    for event in events:
        if isinstance(event, Progress) and event.done >= count:
            break
    events.close()
    place.server.troubles.bytes_per_s = 0.0


def asked(server: HubServer, since: int) -> int:
    """Bytes of the ranges that were asked for after request `since`."""
    ranges = [each.range for each in server.seen[since:] if each.where == "cdn" and each.range]
    return sum(min(end, len(WHOLE)) - start for start, end in ranges)


def test_the_events_of_a_pull(place: Place) -> None:
    events = place.pull()
    assert events[0] == Fetching(
        "gpt-oss:20b", FIRST, place.server.repositories[FIRST].commit, ((NAME, len(WHOLE)),), len(WHOLE), place.cache
    )
    assert events[1] == FileStarted(NAME, len(WHOLE), 0)
    assert Progress("verify", len(WHOLE), len(WHOLE)) in events
    done = events[-1]
    assert isinstance(done, Pulled)
    assert (done.size_bytes, done.fetched_bytes, done.path.read_bytes()) == (len(WHOLE), len(WHOLE), WHOLE)
    assert not any(isinstance(event, Notice) for event in events)
    assert not list(place.cache.rglob("*gptoss-part*"))


def test_each_byte_is_asked_for_once(place: Place) -> None:
    place.pull()
    assert asked(place.server, 0) == len(WHOLE)
    assert [type(event) for event in place.pull()] == [Fetching, Pulled]
    assert asked(place.server, 0) == len(WHOLE)


@pytest.mark.parametrize("cut_after", [1, 1000, 70_000])
def test_answers_that_are_cut_are_continued(cut_after: int, place: Place) -> None:
    place.server.troubles.cut_after = cut_after
    place.server.troubles.cuts = 40
    place.pull()
    assert place.content() == WHOLE


def test_what_is_continued_is_continued_within_a_chunk(place: Place) -> None:
    """A line that breaks sooner than a chunk takes still comes to an end."""
    place.tuning = Tuning(chunk_bytes=1 << 20, connections=1, timeout_s=1.0, retries=2, wait_s=0.0)
    place.server.troubles.cut_after = 100_000
    place.pull()
    assert place.content() == WHOLE
    assert asked(place.server, 0) > len(WHOLE)
    assert place.server.sent == len(WHOLE)


def test_a_server_that_falls_silent_is_asked_again(place: Place) -> None:
    place.tuning = Tuning(chunk_bytes=CHUNK, connections=4, timeout_s=0.5, retries=8, wait_s=0.01)
    place.server.troubles.stall_after = 65536
    place.server.troubles.stalls = 3
    place.pull()
    assert place.content() == WHOLE


@pytest.mark.soak
def test_a_slow_connection_leaves_its_work_to_the_others(place: Place) -> None:
    content = weights(1, 40 * CHUNK)
    place.server.repositories[FIRST] = Repository({NAME: content})
    place.tuning = Tuning(chunk_bytes=CHUNK, connections=2, timeout_s=20.0)
    place.server.troubles.stall_after = 0
    place.server.troubles.stalls = 1
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    for event in events:
        if isinstance(event, Progress) and event.done >= len(content) - 2 * CHUNK:
            break
    events.close()
    stalled = [each.range[0] for each in place.server.downloads()[:2] if each.range]
    asked_for = [each.range[0] for each in place.server.downloads()[2:] if each.range]
    assert not set(stalled) & set(asked_for), "the silent connection was waited for"


def test_a_server_that_is_silent_for_good_ends_it_and_the_part_is_kept(place: Place) -> None:
    stop_after(place, 200_000)
    place.tuning = Tuning(chunk_bytes=CHUNK, connections=2, timeout_s=0.1, retries=2, wait_s=0.0)
    kept = next(partials(place.cache)).kept_bytes
    place.server.troubles.stall_after = 0
    with pytest.raises(NetworkError, match=f"{NAME}: the server sends nothing any more, 3 times in a row"):
        place.pull()
    assert next(partials(place.cache)).kept_bytes == kept > 0


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(status: int, place: Place) -> None:
    place.server.troubles.statuses = [(status, {"Retry-After": "0"})] * 4
    place.server.troubles.hub_statuses = [(status, {"Retry-After": "0"})] * 2
    place.pull()
    assert place.content() == WHOLE


def test_the_user_is_told_when_the_server_asks_to_wait_long(place: Place) -> None:
    place.server.troubles.statuses = [(503, {"Retry-After": "5"})]
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    notice = next(event for event in events if isinstance(event, Notice))
    events.close()
    assert notice.text == "the server asks to wait 5 s (HTTP 503)"


def test_a_server_that_stays_busy_ends_it(place: Place) -> None:
    place.server.troubles.statuses = [(503, {})] * 1000
    with pytest.raises(NetworkError, match="HTTP 503, 5 times in a row") as raised:
        place.pull()
    assert raised.value.exit_code == 5


def test_a_server_without_ranges_sends_the_whole_and_what_is_there_is_kept(place: Place) -> None:
    stop_after(place, 300_000)
    place.server.troubles.no_ranges = True
    place.pull()
    assert place.content() == WHOLE


def test_a_server_without_ranges_that_cuts_comes_to_an_end(place: Place) -> None:
    place.server.troubles.no_ranges = True
    place.server.troubles.cut_after = 500_000
    place.server.troubles.cuts = 2
    place.pull()
    assert place.content() == WHOLE


def test_a_hub_that_sends_the_bytes_itself(place: Place) -> None:
    place.server.troubles.no_redirects = True
    place.pull()
    assert place.content() == WHOLE
    assert not place.server.downloads()


def test_addresses_that_expire_are_asked_for_anew(place: Place) -> None:
    place.server.troubles.expires_after = 3
    place.pull()
    assert place.content() == WHOLE
    assert sum("/resolve/" in each.path for each in place.server.seen) > 2


def test_the_token_goes_to_the_hub_and_to_no_other_host(place: Place) -> None:
    place.server.troubles.expires_after = 3
    place.pull()
    told = {(each.where, each.headers.get("authorization")) for each in place.server.seen}
    assert told == {("hub", "Bearer hf_secret"), ("cdn", None)}


def test_files_that_xet_keeps_come_by_http(place: Place) -> None:
    place.server.troubles.xet = True
    place.pull()
    assert place.content() == WHOLE


def test_a_wrong_hash_is_removed_and_said(place: Place) -> None:
    place.server.troubles.corrupt = True
    with pytest.raises(GptossError, match=f"{NAME} is removed: its hash is [0-9a-f]{{64}}, and the Hub says") as raised:
        place.pull()
    assert raised.value.exit_code == 1
    assert (place.files("blobs"), place.files("snapshots")) == ([], [])
    place.server.troubles.corrupt = False
    place.pull()
    assert place.content() == WHOLE


def test_a_server_whose_sizes_contradict_the_list(place: Place) -> None:
    place.server.troubles.total_size = 5
    with pytest.raises(NetworkError, match=f"the server of {NAME} and the Hub's list disagree"):
        place.pull()


@pytest.mark.parametrize("size", [len(WHOLE) - 1, len(WHOLE) + 1, len(WHOLE) + 10 * CHUNK])
def test_a_list_with_a_wrong_size(size: int, place: Place) -> None:
    place.server.troubles.listed_size = size
    with pytest.raises(GptossError):
        place.pull()
    assert place.files("snapshots") == []


def test_a_file_that_changes_in_the_middle_is_begun_again(place: Place) -> None:
    place.server.repositories[FIRST] = Repository({NAME: weights(1, 4_000_000)})
    place.server.troubles.bytes_per_s = 2e6
    notices = []
    for event in place.library.pull("gpt-oss:20b", place.source, place.tuning):
        if isinstance(event, Progress) and event.done > 200_000 and not notices:
            place.server.repositories[FIRST] = Repository({NAME: weights(2, 700_000)})
            place.server.troubles.bytes_per_s = 0.0
        if isinstance(event, Notice):
            notices.append(event.text)
    assert place.content() == weights(2, 700_000)
    assert len(notices) == 1
    assert notices[0].endswith("starting again")
    assert not list(place.cache.rglob("*gptoss-part*"))


def test_a_file_that_changed_between_two_pulls_is_begun_again(place: Place) -> None:
    stop_after(place, 200_000)
    place.server.repositories[FIRST] = Repository({NAME: weights(2)})
    (notice,) = place.notices()
    assert notice.startswith(f"{NAME} has changed on the Hub since ")
    assert place.content() == weights(2)
    assert not list(place.cache.rglob("*gptoss-part*"))


def test_a_pull_goes_on_from_what_is_on_disk(place: Place) -> None:
    stop_after(place, 300_000)
    (part,) = partials(place.cache)
    assert (part.repository, part.file, part.size_bytes) == (FIRST, NAME, len(WHOLE))
    assert 0 < part.kept_bytes < len(WHOLE)
    before = len(place.server.seen)
    events = place.pull()
    assert FileStarted(NAME, len(WHOLE), part.kept_bytes) in events
    assert asked(place.server, before) == len(WHOLE) - part.kept_bytes
    assert place.content() == WHOLE


def test_what_is_less_than_a_chunk_is_kept_at_a_stop(place: Place) -> None:
    place.tuning = Tuning(chunk_bytes=1 << 20)
    stop_after(place, 300_000)
    (part,) = partials(place.cache)
    assert 300_000 <= part.kept_bytes < len(WHOLE)
    before = len(place.server.seen)
    place.pull()
    assert asked(place.server, before) == len(WHOLE) - part.kept_bytes
    assert place.content() == WHOLE


def test_another_size_of_chunks_leaves_what_is_there(place: Place) -> None:
    stop_after(place, 300_000)
    (part,) = partials(place.cache)
    before = len(place.server.seen)
    place.tuning = Tuning(chunk_bytes=100_000)
    place.pull()
    assert asked(place.server, before) == len(WHOLE) - part.kept_bytes


@pytest.mark.parametrize("seed", [0, *(pytest.param(each, marks=pytest.mark.soak) for each in range(1, 6))])
def test_a_part_that_a_power_loss_has_damaged_is_mended(seed: int, place: Place) -> None:
    """The journal knows of chunks whose bytes never reached the disk, or only half of them; or it was cut itself."""
    stop_after(place, 400_000)
    (part,) = partials(place.cache)
    data, journal = (path.read_bytes() for path in part.paths)
    random = Random(seed)
    start = random.randrange(len(data))
    damaged = [
        data[:start] + bytes(len(data) - start),  # zeros, as file systems leave them
        data[:start],  # shorter
        data[:start] + random.randbytes(10) + data[start + 10 :],
    ][seed % 3]
    part.path.write_bytes(damaged)
    part.paths[1].write_bytes(journal[: -random.randrange(1, 12)] + bytes(random.randrange(20)))
    place.pull()
    assert place.content() == WHOLE


@pytest.mark.parametrize("journal", [b"", b"\0" * 500, b"{}\n0 00000000\n", b'{"schema": 99}\n'])
def test_a_journal_that_says_nothing_begins_again(journal: bytes, place: Place) -> None:
    stop_after(place, 300_000)
    (part,) = partials(place.cache)
    part.paths[1].write_bytes(journal)
    place.pull()
    assert place.content() == WHOLE


def test_a_small_file_that_git_keeps_is_checked_by_gits_hash(place: Place) -> None:
    small = weights(3, 600)
    assert len(small) < 1000
    place.server.repositories[FIRST] = Repository({NAME: small})
    place.pull()
    assert place.content() == small
    place.server.repositories[FIRST] = Repository({NAME: weights(4, 600)})
    place.server.troubles.corrupt = True
    with pytest.raises(GptossError, match=r"its hash is [0-9a-f]{40},"):
        place.pull()


def test_a_disk_without_room_is_refused_before_the_first_byte(place: Place) -> None:
    place.server.troubles.listed_size = 10**18
    with pytest.raises(NetworkError, match=r"gpt-oss:20b needs 1000000 TB, and .* are free at ") as raised:
        place.pull()
    assert raised.value.exit_code == 5
    assert not place.server.downloads()


def test_a_model_that_does_not_fit_the_machine_is_told_before_the_first_byte(place: Place) -> None:
    place.server.troubles.listed_size = 10**18
    events = place.library.pull("gpt-oss:20b", place.source, place.tuning)
    assert isinstance(next(events), Fetching)
    if available_memory() is not None:
        notice = next(events)
        assert isinstance(notice, Notice)
        assert notice.text.startswith("this machine is small for gpt-oss:20b, which does not fit: it needs ")
    events.close()


def test_a_cache_that_cannot_be_written(place: Place) -> None:
    place.cache.write_text("a file where a folder should be")
    with pytest.raises(GptossError, match="cannot be written"):
        place.pull()


def test_a_crash_between_blob_and_link_is_mended_without_a_download(place: Place) -> None:
    place.pull()
    (link,) = place.cache.glob("models--*/snapshots/*/*.gguf")
    link.unlink()
    sent = place.server.sent
    place.pull()
    assert (place.content(), place.server.sent) == (WHOLE, sent)


def test_a_blob_of_the_wrong_size_is_not_believed(place: Place) -> None:
    place.pull()
    (blob,) = place.cache.glob("models--*/blobs/*")
    os.truncate(blob, 1000)
    place.pull()
    assert place.content() == WHOLE


def test_unfinished_downloads_are_listed(place: Place, tmp_path: Path) -> None:
    assert list(partials(tmp_path / "none")) == []
    stop_after(place, 200_000)
    (part,) = partials(place.cache)
    assert all(path.is_file() for path in part.paths)
    assert part.kept_bytes <= part.path.stat().st_size
