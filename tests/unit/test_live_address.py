"""What is the address of a camera, and what is not; passwords in it are shown to nobody."""

from __future__ import annotations

import pytest

from vbp.errors import VbpError
from vbp.live.address import mask, parse_address


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("0", "device", "camera 0"),
        (" 12 ", "device", "camera 12"),
        ("/dev/video2", "device", "/dev/video2"),
        ("/dev/v4l/by-id/usb-cam", "device", "/dev/v4l/by-id/usb-cam"),
        ("http://10.0.0.5:8080/video", "stream", "http://10.0.0.5:8080/video"),
        ("RTSP://host/path?channel=1", "stream", "RTSP://host/path?channel=1"),
        ("rtsp://me:secret@host/path", "stream", "rtsp://***@host/path"),
        ("rtsp://me:se@cret@host/path", "stream", "rtsp://***@host/path"),
        ("http://host/v?user=me&pwd=secret&fps=15", "stream", "http://host/v?user=***&pwd=***&fps=15"),
        (
            "http://host/v?sid=se/cret==&resolution=640x480",
            "stream",
            "http://host/v?sid=***&resolution=640x480",
        ),
        ("http://host/v?secret", "stream", "http://host/v?***"),
        ("http://host/v?channel=secret#secret", "stream", "http://host/v?channel=***#***"),
        ("rtsp://h/user=me&password=secret&channel=1", "stream", "rtsp://h/user=***&password=***&channel=1"),
        ("rtsp://h:554/user=me_password=secret_channel=1.sdp?real", "stream", "rtsp://h:554/user=***?***"),
    ],
)
def test_what_is_a_camera(text: str, kind: str, name: str) -> None:
    address = parse_address(text)
    assert (address.kind, address.name) == (kind, name)
    assert "secret" not in repr(address) and "cret" not in repr(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "camera",
        "drive.mp4",
        "-1",
        "64",
        "9999",
        "٣",
        "ftp://host/x",
        "file:///etc/passwd",
        "rtsp://",
        "http://host:port/",
        "http://host:0/",
        "http://ho st/",
        "http://[::1/",
        "concat:a|b",
        "http://h/\nx",
        "1.5",
        "http://me:secret@",
        "rtsp://me:secret@host:99999/",
    ],
)
def test_what_is_no_camera_is_said_in_one_sentence_without_secrets(text: str) -> None:
    with pytest.raises(VbpError) as caught:
        parse_address(text)
    message = str(caught.value)
    assert "\n" not in message and "secret" not in message and len(message) < 300


@pytest.mark.parametrize("password", ["p/w", "p?w", "p#w", "p@w", "p:w", "p/1@w"])
def test_a_password_that_should_have_been_escaped_is_hidden_all_the_same(password: str) -> None:
    shown = mask(f"cannot open rtsp://user:{password}@10.0.0.5:554/stream now")
    assert password not in shown and "user" not in shown and "10.0.0.5:554/stream now" in shown


def test_an_address_that_was_taken_for_a_path() -> None:
    assert mask("http:/me:secret@h/x?key=secret does not exist") == "http:/***@h/x?key=*** does not exist"
    assert mask("give udp://[HOST]:PORT?unit=deg") == "give udp://[HOST]:PORT?unit=deg"


def test_paths_with_an_at_sign_are_left_alone() -> None:
    assert mask("http://host:8080/a@b") == "http://host:8080/a@b"
