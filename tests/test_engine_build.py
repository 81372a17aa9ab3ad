"""The build that is in use, as llama.cpp tells it."""

from dataclasses import asdict

from gptoss_cli.engine import binding, build


def test_the_build_in_use() -> None:
    found = build.found()
    assert found.llama_cpp_python == binding.VERSION
    assert found.llama_cpp.encode() == binding.LLAMA_VERSION
    assert "CPU" in found.backends
    assert [device.name for device in found.devices] == list(binding.devices())
    assert found.devices[-1].type == "CPU"
    assert found.devices[-1].total_bytes > 2**28
    assert found.features
    assert build.from_object(asdict(found)) == found
