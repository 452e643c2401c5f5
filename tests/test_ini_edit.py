"""Keys are set in a boards file, and every other byte stays."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniml.errors import SettingsError
from miniml.hil.finding.ini_edit import read_ini, set_keys

BENCH = """\
# My bench: the blue hub.
[uno]
; the one with the red tape
port = /dev/ttyACM0{space}

usb_ids =
    2341:0043
    # an older one
    2341:0001

[pico]
port_dtr : off
""".format(space="   ")


def test_a_key_keeps_its_place_and_everything_else_its_bytes() -> None:
    edited = set_keys(BENCH, "uno", {"port": None, "usb_serial": "55739323737351"})
    assert edited == BENCH.replace("port = /dev/ttyACM0   \n", "").replace(
        "2341:0001\n", "2341:0001\nusb_serial = 55739323737351\n"
    )
    edited = set_keys(BENCH, "pico", {"port_dtr": "on"})
    assert edited == BENCH.replace("port_dtr : off", "port_dtr : on")


def test_a_value_of_several_lines_is_replaced_as_a_whole() -> None:
    edited = set_keys(BENCH, "uno", {"usb_ids": "2a03:0043"})
    assert read_ini(edited)["uno"]["usb_ids"] == "2a03:0043"
    assert "    # an older one\n" in edited


def test_a_new_section_goes_to_the_end() -> None:
    assert set_keys(BENCH, "stm32f4", {"usb_location": "1-1.4"}) == (
        BENCH + "\n[stm32f4]\nusb_location = 1-1.4\n"
    )
    assert set_keys("", "uno", {"port": "p"}) == "[uno]\nport = p\n"
    assert set_keys("[uno]\nport = p", "pico", {"port": "q"}) == (
        "[uno]\nport = p\n\n[pico]\nport = q\n"
    )


def test_line_ends_of_windows_stay() -> None:
    edited = set_keys(
        "[uno]\r\nport = COM3\r\n# end\r\n", "uno", {"port": "COM4", "usb_serial": "1"}
    )
    assert edited == "[uno]\r\nport = COM4\r\nusb_serial = 1\r\n# end\r\n"


@pytest.mark.parametrize("text", ["port = p\n", "[uno]\n[uno]\n", "[uno]\nport = a\nport = b\n"])
def test_a_file_that_can_not_be_read_is_left_alone(text: str) -> None:
    with pytest.raises(SettingsError, match="can't be edited"):
        set_keys(text, "uno", {"port": "p"})


NAMES = st.sampled_from(["uno", "pico", "a b", "x]y"])
KEYS = st.sampled_from(["port", "usb_serial", "usb_location", "title"])
VALUES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=12).map(str.strip)
LINES = st.one_of(
    st.builds("[{}]".format, NAMES),
    st.builds("  [{}] # why".format, NAMES),
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("\t{}:{}".format, KEYS, VALUES),
    st.sampled_from(["", "   ", "# port = no", "  ; comment", "    more", "  = ", "[", "key"]),
)


@settings(deadline=None)
@given(
    lines=st.lists(LINES, max_size=14),
    end=st.sampled_from(["\n", "\r\n"]),
    cut=st.booleans(),
    section=NAMES,
    values=st.dictionaries(KEYS, st.one_of(st.none(), VALUES), min_size=1),
)
def test_only_what_was_asked_for_changes(
    lines: list[str], end: str, cut: bool, section: str, values: dict[str, str | None]
) -> None:
    text = end.join(lines) + ("" if cut else end)
    try:
        before = read_ini(text)
    except configparser.Error:
        before = None
    try:
        edited = set_keys(text, section, values)
    except SettingsError:
        return
    assert before is not None or not text.strip()
    wanted = dict(before or {})
    wanted[section] = wanted.get(section, {}) | {k: v for k, v in values.items() if v is not None}
    for key, value in values.items():
        if value is None:
            wanted[section].pop(key, None)
    assert read_ini(edited) == wanted
    # Comments are all there, in their order.
    comments = [line for line in lines if line.strip()[:1] in ("#", ";") and line.strip()]
    assert [line for line in edited.replace("\r", "").split("\n") if line in comments] == comments
    again = set_keys(edited, section, values)
    assert again == edited


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["uno", "pico", "stm32f4"]), KEYS, VALUES), min_size=1, max_size=6
    )
)
def test_a_plain_file_can_always_be_edited(edits: list[tuple[str, str, str]]) -> None:
    text = BENCH
    for section, key, value in edits:
        text = set_keys(text, section, {key: value})
        assert read_ini(text)[section][key] == value
    assert [line for line in BENCH.split("\n") if line.strip()[:1] in ("#", ";")] == [
        line for line in text.split("\n") if line.strip()[:1] in ("#", ";")
    ]
