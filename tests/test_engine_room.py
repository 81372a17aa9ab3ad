"""Room for a model on a machine of a given size: refused, forced, and placed, with the real llama.cpp."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY
from hollow_model import BIG, hollow

from gptoss_cli.engine.memory import Gpu, Machine
from gptoss_cli.engine.room import Room, Wanted
from gptoss_cli.errors import DoesNotFit

MIB, GIB = 2**20, 2**30


def having(ram_bytes: int, *gpus: Gpu) -> Callable[[], Machine]:
    return lambda: Machine(ram_bytes, gpus)


def test_a_model_that_does_not_fit_is_refused_unless_forced() -> None:
    with pytest.raises(
        DoesNotFit, match=r"tiny\.gguf does not fit: it needs \d+ MiB \(weights 6 MiB.* free: 5 MiB RAM"
    ):
        Room(TINY, Wanted(), look=having(5 * MIB)).check()
    Room(TINY, Wanted(force=True), look=having(5 * MIB)).check()
    Room(TINY, Wanted(), look=having(5 * GIB)).check()


def test_a_context_that_does_not_fit_is_refused_with_one_that_does(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    room = Room(path, Wanted(), look=having(12 * GIB))
    room.check()
    room.check_context(8192)
    with pytest.raises(DoesNotFit, match="a context of 131072 tokens does not fit: it needs 14") as raised:
        room.check_context(131072)
    assert raised.value.hint is not None
    assert "--num-ctx 2" in raised.value.hint  # twenty thousand and some
    Room(path, Wanted(force=True), look=having(12 * GIB)).check_context(131072)


def test_memory_that_others_give_back_is_counted(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    memory, asked = [8 * GIB, 13 * GIB, 17 * GIB], list[int]()

    def relief() -> bool:
        asked.append(memory.pop(0))
        return True

    def look() -> Machine:
        return Machine(memory[0])

    room = Room(path, Wanted(relief=relief), look=look)
    room.check()
    assert asked == [8 * GIB]  # no more than is needed
    room.check_context(131072)
    assert asked == [8 * GIB, 13 * GIB]


def test_others_give_way_until_all_is_on_the_gpu(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    free = [2, 8, 16, 24]

    def look() -> Machine:
        return Machine(64 * GIB, (Gpu("GPU", free[0] * GIB, 24 * GIB),))

    def relief() -> bool:
        free.pop(0)
        return True

    assert Room(path, Wanted(relief=relief), look=look).plan.experts_in_ram == 0
    assert free == [16, 24]
    free = [4]
    assert Room(path, Wanted(gpu_layers=1, relief=relief), look=look).plan.fits  # as the user has asked for


def test_experts_in_ram_are_a_copy_where_the_gpu_has_its_own_memory(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    own, shared = Gpu("GPU", 8 * GIB, 8 * GIB), Gpu("GPU", 8 * GIB, 8 * GIB, shared=True)
    assert Room(path, Wanted(), look=having(32 * GIB, own)).copied
    assert not Room(path, Wanted(), look=having(32 * GIB, shared)).copied
    assert not Room(path, Wanted(cpu_moe=4), look=having(32 * GIB)).copied
    assert not Room(path, Wanted(force=True), look=having(4 * GIB, own)).copied  # it would not fit as a copy


def test_a_plan_counts_with_the_context_that_is_asked_for(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    gpu = Gpu("GPU", 13 * GIB, 16 * GIB)
    assert Room(path, Wanted(), look=having(32 * GIB, gpu)).plan.placement.cpu_moe == 0
    assert Room(path, Wanted(num_ctx=131072), look=having(32 * GIB, gpu)).plan.placement.cpu_moe > 0


def test_weights_are_repacked_for_a_chat_where_memory_is_plenty_and_no_gpu_computes(tmp_path: Path) -> None:
    path = hollow(tmp_path / "model.gguf", BIG["20b"])
    assert Room(path, Wanted(), None, look=having(30 * GIB)).repack
    for look in (having(24 * GIB), having(64 * GIB, Gpu("CUDA0", 24 * GIB, 24 * GIB)), lambda: Machine(None)):
        assert not Room(path, Wanted(), None, look=look).repack
    assert not Room(TINY, Wanted(), None, look=having(64 * GIB)).repack
    assert not Room(path, Wanted(), look=having(64 * GIB)).repack
