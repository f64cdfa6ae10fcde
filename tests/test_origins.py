"""How origins are spelled: what is taken, what is refused with the right spelling, what is local."""

import pytest

from service.kit.errors import StartupFailure
from service.kit.origins import Origins, is_local, origin_of, spelled
from service.runtime.settings import load

NOT_AS_SPELLED = "`{}` is not an origin as browsers spell it; write `{}`"
NO_ORIGIN = (
    "`{}` is not an origin; write scheme, host and, if need be, port, such as `https://app.example.com`"
)
STAR = "`{}` has a `*` within, which matches nothing; write each origin, such as `{}`, or `*` alone for any"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("*", "*"),
        ("https://app.example", "https://app.example"),
        ("http://app.example:8080", "http://app.example:8080"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://192.0.2.1", "http://192.0.2.1"),
        ("http://[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://my_app.example.", "https://my_app.example."),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
    ],
)
def test_valid_origin_is_normalised(written: str, expected: str) -> None:
    assert spelled(written) == expected
    assert expected == "*" or expected in Origins([written])


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("app.example", "https://app.example"),
        ("//app.example", "https://app.example"),
        ("app.example:8080/path", "https://app.example:8080"),
        ("app.example:80", "http://app.example"),
        ("localhost:5173", "http://localhost:5173"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("https:app.example", "https://app.example"),
        ("https:/app.example", "https://app.example"),
        ("https//app.example", "https://app.example"),
        ("wss://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("https://app.example/a/b?c#d", "https://app.example"),
        ("https://app.example?c", "https://app.example"),
        ("https://App.Example", "https://app.example"),
        ("HTTPS://app.example", "https://app.example"),
        ("https://app.example:", "https://app.example"),
        ("https://app.example:0443", "https://app.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://127.1:3000", "http://127.0.0.1:3000"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("http://[::FFFF]", "http://[::ffff]"),
        ("https://a.example https://b.example", "https://a.example,https://b.example"),
        ("https://a.example;b.example", "https://a.example,https://b.example"),
        ('"https://app.example"', "https://app.example"),
        ('["https://app.example"', "https://app.example"),
        ('"https://app.example"]', "https://app.example"),
        (" https://app.example", "https://app.example"),
    ],
)
def test_misspelled_origin_is_refused_with_correct_spelling(written: str, right: str) -> None:
    with pytest.raises(ValueError, match="as browsers spell it") as caught:
        spelled(written)
    assert str(caught.value) == NOT_AS_SPELLED.format(written.strip(), right)
    assert spelled(right.partition(",")[0])


@pytest.mark.parametrize(
    ("written", "example"),
    [
        ("https://*.example.com", "https://app.example.com"),
        ("*.example.com", "https://app.example.com"),
        ("https://example.*", "https://example.app"),
        ("http://localhost:*", "http://localhost:3000"),
        ("*://a.example", "https://a.example"),
        ("https://*", "https://app.example.com"),
        ("**", "https://app.example.com"),
        ("https://*:*:*", "https://app.example.com"),
    ],
)
def test_wildcard_within_origin_is_refused(written: str, example: str) -> None:
    with pytest.raises(ValueError, match="matches nothing") as caught:
        spelled(written)
    assert str(caught.value) == STAR.format(written, example)


@pytest.mark.parametrize(
    "written",
    [
        "https://",
        "file://",
        "file:///home/ann/index.html",
        "https://app.example:port",
        "https://app.example:65536",
        "https://app.example:\uff14\uff14\uff13",
        "https://a..example",
        "https://a%2eexample",
        "https://" + "a" * 64,
        "https://a:" + "9" * 60,
        "https://xn--\N{BELL}é",
        "http://999.1.1.1",
        "http://[::g]",
        "http://fe80::1",
        "data:text/html,x",
        "javascript:alert(1)",
        "/",
        ":",
        "https://app.example,",
    ],
)
def test_invalid_origin_is_refused_with_example(written: str) -> None:
    with pytest.raises(ValueError, match="is not an origin; ") as caught:
        spelled(written)
    assert str(caught.value) == NO_ORIGIN.format(written)


@pytest.mark.parametrize("written", ["null", "NULL"])
def test_null_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="sandboxed frames of anybody"):
        spelled(written)


@pytest.mark.parametrize("written", ["https://ann:secret@app.example", "ann:secret@app.example"])
def test_error_for_origin_with_password_does_not_contain_it(written: str) -> None:
    with pytest.raises(ValueError, match=r"write `https://app\.example`$") as caught:
        spelled(written)
    assert "secret" not in str(caught.value)


def test_error_for_long_origin_is_one_short_line() -> None:
    with pytest.raises(ValueError, match="is not an origin") as caught:
        spelled("https://" + "\na" * 500)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (" , ", ()),
        ("https://a.example, https://b.example:443,", ("https://a.example", "https://b.example")),
        ("*", ("*",)),
    ],
)
def test_cors_setting_is_split_and_empty_entries_dropped(value: str, expected: tuple[str, ...]) -> None:
    assert load(_env_file=None, environment="development", cors_origins=value).cors_origins == expected


def test_error_for_cors_setting_names_invalid_origin() -> None:
    with pytest.raises(StartupFailure) as caught:
        load(_env_file=None, environment="development", cors_origins="https://a.example,b.example")
    right = NOT_AS_SPELLED.format("b.example", "https://b.example")
    assert str(caught.value) == f"SHEAF_CORS_ORIGINS is wrong: {right}."


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost",
        "http://localhost:5173",
        "https://127.0.0.1:65535",
        "http://[::1]:3000",
    ],
)
def test_loopback_origins_are_local(origin: str) -> None:
    assert is_local(origin)
    assert origin in Origins([], local=True)
    assert origin not in Origins([])
    assert origin_of(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "localhost:3000",
        "//localhost",
        "ftp://localhost",
        "capacitor://localhost",
        "http://localhost.",
        "http://localhost:",
        "http://localhost:port",
        "http://localhost:123456",
        "http://localhost:\uff13\uff10\uff10\uff10",
        "http://localhost:3000/",
        "http://localhost:3000\n",
        "http://localhost.evil.example",
        "http://app.localhost:3000",
        "http://evil.example:localhost",
        "http://localhost@evil.example",
        "http://localhost:3000@evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.2",
        "http://127.1",
        "http://0.0.0.0:3000",
        "http://192.168.0.2:3000",
        "http://[::]:3000",
        "http://[::1].evil.example",
        "http://::1:3000",
    ],
)
def test_other_origins_are_not_local(origin: str) -> None:
    assert not is_local(origin)
    assert origin not in Origins([], local=True)


@pytest.mark.parametrize("url", ["*", "null", "", "app.example", "file:///x", "https://a:b", "https://[::g]"])
def test_url_without_origin_lists_no_origin(url: str) -> None:
    assert origin_of(url) is None
    assert None not in Origins([url], local=True)
