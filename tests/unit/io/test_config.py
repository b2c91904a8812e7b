"""Settings: where they come from, who wins, and what a wrong one says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.config import SECRETS, BridgeConfig, check_folder
from vapimedia.io.config_sources import load_config

GOOD = {
    "vapi_api_key": "canary-key",
    "vapi_webhook_secret": "canary-webhook",
    "twilio_account_sid": "canary-sid",
    "twilio_auth_token": "canary-token",
    "public_url": "https://bridge.example.com",
}


def load(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, file: Path | None = None
) -> BridgeConfig:
    return load_config(flags=flags or {}, environ=environ or {}, file=file)


def write_toml(folder: Path, text: str) -> Path:
    file = folder / "bridge.toml"
    file.write_text(text, encoding="utf-8")
    return file


def error_of(*args: object, **kwargs: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    return text


def check_error(**changes: object) -> str:
    with pytest.raises(ConfigError) as caught:
        BridgeConfig(**(GOOD | changes)).check()  # type: ignore[arg-type]
    return str(caught.value)


def test_defaults_stand_when_nothing_is_given() -> None:
    assert load() == BridgeConfig()


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = write_toml(tmp_path, "port = 1\nmax_calls = 1\ndrain_s = 1\n")
    config = load({"port": 3}, {"VAPIMEDIA_PORT": "2", "VAPIMEDIA_MAX_CALLS": "2"}, file)
    assert (config.port, config.max_calls, config.drain_s, config.prebuffer_ms) == (3, 2, 1.0, 40)


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert load({"port": None}, {"VAPIMEDIA_PORT": "2"}).port == 2


def test_an_empty_variable_counts_as_not_given() -> None:
    assert load(environ={"VAPI_API_KEY": "", "VAPIMEDIA_PORT": " "}) == BridgeConfig()


@pytest.mark.parametrize(
    "word,value", [("1", True), ("true", True), ("yes", True), ("off", False), ("0", False)]
)
def test_a_variable_holds_booleans_as_words(word: str, value: bool) -> None:
    assert load(environ={"VAPIMEDIA_AUTH": word}).auth is value


def test_a_flag_that_switches_off_is_a_variable_too() -> None:
    assert load(environ={"VAPIMEDIA_NO_AUTH": "1"}).auth is False
    assert load(environ={"VAPIMEDIA_NO_AUTH": "0"}).auth is True


def test_a_flag_that_may_repeat_is_a_variable_too() -> None:
    assert load(environ={"VAPIMEDIA_PROVIDER": "twilio,vonage"}).providers == ("twilio", "vonage")


def test_lists_are_comma_separated_in_the_environment() -> None:
    config = load(environ={"VAPIMEDIA_VAPI_HOSTS": "vapi.ai, example.com"})
    assert config.vapi_hosts == ("vapi.ai", "example.com")


def test_a_list_of_providers_comes_from_flags_and_from_toml(tmp_path: Path) -> None:
    file = write_toml(tmp_path, 'providers = ["twilio"]')
    assert load({"providers": ["twilio"]}).providers == load(file=file).providers == ("twilio",)


def test_every_secret_is_known_by_its_own_name() -> None:
    # The browser's secret is ours alone: no other program has a name for it.
    variables = {name: name.upper() for name in SECRETS} | {"browser_secret": "VAPIMEDIA_BROWSER_SECRET"}
    config = load(environ={variables[name]: f"value of {name}" for name in SECRETS})
    assert all(getattr(config, name) == f"value of {name}" for name in SECRETS)


def test_the_prefixed_variable_wins_over_the_plain_one() -> None:
    assert load(environ={"VAPI_API_KEY": "a", "VAPIMEDIA_VAPI_API_KEY": "b"}).vapi_api_key == "b"


def test_every_setting_can_be_a_variable() -> None:
    values = {name: getattr(BridgeConfig(), name) for name in BridgeConfig.__struct_fields__}
    environ = {
        f"VAPIMEDIA_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
        if value not in (None, "")
    }
    assert load(environ=environ) == BridgeConfig()


def test_an_unknown_key_names_itself_its_file_and_the_likely_key(tmp_path: Path) -> None:
    text = error_of(file=write_toml(tmp_path, "prot = 80"))
    assert text == "unknown key 'prot' in bridge.toml; did you mean 'port'?"


def test_an_unknown_variable_names_itself_and_the_likely_one() -> None:
    text = error_of(environ={"VAPIMEDIA_PROT": "80"})
    assert text == "unknown variable 'VAPIMEDIA_PROT' in the environment; did you mean 'VAPIMEDIA_PORT'?"


def test_an_unknown_flag_names_itself() -> None:
    assert error_of({"prot": 80}).startswith("unknown flag --prot")


@pytest.mark.parametrize(
    "name",
    [
        "VAPIMEDIA_SIMD",
        "VAPIMEDIA_CONFIG",
        "VAPIMEDIA_SERVICE_HOST",
        "VAPIMEDIA_PORT_8080_TCP_ADDR",
        "BROWSER_SECRET",
    ],
)
def test_variables_that_are_no_settings_are_left_alone(name: str) -> None:
    assert load(environ={name: "x"}) == BridgeConfig()


def test_a_wrong_value_names_its_variable() -> None:
    assert error_of(environ={"VAPIMEDIA_PORT": "http"}) == (
        "port must be a port number, 0..65535 (0 picks a free one), not 'http' (from VAPIMEDIA_PORT)"
    )


def test_a_wrong_value_names_its_flag() -> None:
    assert error_of({"drain_s": -1}) == "drain_s must be seconds, 0..86400, not -1 (from --drain-s)"


def test_a_wrong_type_names_its_file(tmp_path: Path) -> None:
    text = error_of(file=write_toml(tmp_path, 'port = "8080"'))
    assert text.startswith("port must be") and text.endswith("(from bridge.toml)")


def test_a_wrong_word_lists_the_right_ones() -> None:
    text = error_of(environ={"VAPIMEDIA_DTMF": "beep"})
    assert text == "dtmf must be one of message, tone, ignore, not 'beep' (from VAPIMEDIA_DTMF)"


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_a_duration_is_a_finite_number_in_range(text: str) -> None:
    assert error_of(environ={"VAPIMEDIA_DRAIN_S": text}).startswith("drain_s must be seconds")


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    text = error_of(file=write_toml(tmp_path, 'vapi_api_key = ["canary"]'))
    assert "vapi_api_key must be text" in text and "canary" not in text


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_refused_as_a_flag_and_not_shown(name: str) -> None:
    text = error_of({name: "canary"})
    assert name in text and "environment" in text and "canary" not in text


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_broken_file_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bridge.toml"
    file.write_bytes(content)
    assert "bridge.toml" in error_of(file=file)


def test_a_missing_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    assert "absent.toml" in error_of(file=tmp_path / "absent.toml")


def test_no_text_form_of_the_settings_shows_a_secret() -> None:
    config = BridgeConfig(**GOOD)  # type: ignore[arg-type]
    shown = repr(config) + str(config) + f"{config}" + repr(config.__rich_repr__()) + repr([config])
    assert "canary" not in shown and "bridge.example.com" in shown


def test_good_settings_pass_the_check() -> None:
    config = BridgeConfig(**GOOD)  # type: ignore[arg-type]
    config.check()
    assert config.warnings() == []


def test_a_missing_api_key_names_its_variable() -> None:
    assert "VAPI_API_KEY" in check_error(vapi_api_key="")


@pytest.mark.parametrize("name", ["vapi_api_key", "vapi_public_key"])
def test_a_key_that_is_none_names_its_variable_and_not_itself(name: str) -> None:
    text = check_error(**({"vapi_api_key": "sk"} | {name: "canary\nX-Other: 1"}))
    assert name.upper() in text and "canary" not in text


def test_with_auth_twilio_needs_its_token() -> None:
    assert "TWILIO_AUTH_TOKEN" in check_error(twilio_auth_token="")


def test_with_auth_the_public_url_is_needed() -> None:
    assert "--public-url" in check_error(public_url="")


def test_without_auth_neither_token_nor_public_url_is_needed_but_it_is_said() -> None:
    config = BridgeConfig(vapi_api_key="k", auth=False)
    config.check()
    assert any("--no-auth" in text for text in config.warnings())


@pytest.mark.parametrize(
    "changes,word",
    [
        ({"providers": ("twillio",)}, "unknown provider 'twillio'"),
        ({"providers": ("vonage",)}, "VONAGE_SIGNATURE_SECRET is not set"),
        ({"providers": ("browser",)}, "VAPIMEDIA_BROWSER_SECRET"),
        ({"providers": ()}, "no provider"),
        ({"record": "no such folder"}, "is no folder"),
        ({"vapi_format": "alaw/8000"}, "vapi_format"),
        ({"vapi_format": "opus"}, "vapi_format"),
        ({"vapi_format": "pcm_s16le/11025"}, "vapi_format"),
        ({"vapi_url": "http://api.example.com"}, "vapi_url must be https"),
        ({"vapi_url": "api.vapi.ai"}, "vapi_url"),
        ({"vapi_url": "https://user:canary@api.vapi.ai"}, "vapi_url"),
        ({"vapi_url": "https://[::1"}, "vapi_url"),
        ({"twilio_api_url": "ftp://example.com"}, "twilio_api_url"),
        ({"public_url": "https://bridge.example.com/base"}, "public_url"),
        ({"public_url": "bridge.example.com"}, "public_url"),
        ({"admin": "8081"}, "admin"),
        ({"admin": "::1:8081"}, "admin"),
        ({"admin": "localhost:99999"}, "admin"),
        ({"admin": "127.0.0.1:8080"}, "admin"),
        ({"lead_ms": 99}, "lead_ms"),
        ({"lead_ms": 60_001}, "lead_ms"),
        ({"prebuffer_ms": 201}, "prebuffer_ms"),
        ({"port": 65_536}, "port"),
        ({"host": "a\0b"}, "host must be"),
        ({"host": "my host"}, "host must be"),
        ({"admin": "my host:8081"}, "admin must be"),
        ({"admin": "a\0b:8081"}, "admin must be"),
    ],
)
def test_what_cannot_run_is_named(changes: dict[str, object], word: str) -> None:
    text = check_error(**changes)
    assert word in text and "canary" not in text


def test_plain_http_is_good_enough_on_loopback() -> None:
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]"):
        BridgeConfig(**(GOOD | {"vapi_url": f"http://{host}:9001"})).check()  # type: ignore[arg-type]


def test_an_admin_port_open_to_all_is_warned_about() -> None:
    config = BridgeConfig(**(GOOD | {"admin": "0.0.0.0:8081"}))  # type: ignore[arg-type]
    assert "admin" in config.warnings()[0]


SECRET = {"browser_secret": "s" * 32}


@pytest.mark.parametrize(
    "settings,is_told",
    [
        ({}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "192.0.2.1", "public_url": "http://192.0.2.1:8080"}, True),
        ({"public_url": "http://bridge.example.com"}, True),
        ({"host": "0.0.0.0", "public_url": "https://bridge.example.com"}, False),
        ({"host": "0.0.0.0", "public_url": "http://localhost:8080"}, False),
    ],
)
def test_a_page_that_gets_no_microphone_is_warned_about(settings: dict[str, str], is_told: bool) -> None:
    for providers in (("browser",), ("twilio",)):
        config = BridgeConfig(vapi_api_key="k", providers=providers, **SECRET, **settings)  # type: ignore[arg-type]
        told = [text for text in config.warnings() if "microphone" in text]
        assert len(told) == (is_told and providers == ("browser",))


@pytest.mark.parametrize("api_key,auth,is_told", [("", True, True), ("abc", True, False), ("", False, False)])
def test_vonage_without_an_account_is_warned_about(api_key: str, auth: bool, is_told: bool) -> None:
    for provider in ("vonage", "twilio"):
        config = BridgeConfig(providers=(provider,), vonage_api_key=api_key, auth=auth)
        told = any("VONAGE_API_KEY" in text for text in config.warnings())
        assert told == (is_told and provider == "vonage")


def test_who_dials_is_not_warned_of_what_is_an_error_then() -> None:
    config = BridgeConfig(providers=("twilio", "vonage"))
    assert len(config.warnings()) == len(config.warnings(dials=True)) + 2
    assert not any("by REST" in text for text in config.warnings(dials=True))


def test_a_provider_may_be_written_in_capitals(tmp_path: Path) -> None:
    assert load({"providers": ["Vonage"]}).providers == ("vonage",)
    assert load(environ={"VAPIMEDIA_PROVIDER": "Twilio, BROWSER"}).providers == ("twilio", "browser")
    assert load(file=write_toml(tmp_path, 'providers = ["Vonage"]')).providers == ("vonage",)
    assert BridgeConfig(providers=("Twilio",)).providers == ("twilio",)


def test_a_trailing_slash_of_a_url_does_not_matter() -> None:
    assert BridgeConfig(public_url="https://a.example/").public_url == "https://a.example"


@pytest.mark.parametrize(
    "text,address",
    [("127.0.0.1:8081", ("127.0.0.1", 8081)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_the_admin_address_is_split(text: str, address: tuple[str, int]) -> None:
    assert BridgeConfig(admin=text).admin_address() == address


def test_defaults_are_what_no_source_says_anything_about() -> None:
    defaults = BridgeConfig(dtmf="tone", max_calls=7, port=9000, vapi_url="https://a.example")
    environ = {"VAPIMEDIA_MAX_CALLS": "8"}
    config = load_config(flags={"vapi_url": "https://b.example/"}, environ=environ, defaults=defaults)
    assert (config.dtmf, config.max_calls, config.port) == ("tone", 8, 9000)
    assert config.vapi_url == "https://b.example"


def test_the_vapi_format_is_parsed_and_auto_is_left_open() -> None:
    assert BridgeConfig().vapi_audio_format() is None
    assert BridgeConfig(vapi_format="pcm_s16le/16000").vapi_audio_format() == AudioFormat("pcm_s16le", 16_000)


def test_a_folder_that_takes_no_file_is_refused_even_where_permissions_allow_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check_folder("record", str(tmp_path))
    assert list(tmp_path.iterdir()) == []

    def refuse(**_: object) -> tuple[int, str]:
        raise PermissionError

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(ConfigError, match="cannot be written to"):
        check_folder("record", str(tmp_path))
