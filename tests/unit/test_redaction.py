"""What is recorded never holds a secret, and holds everything else."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from autolog.redaction import REDACTED, redact_arguments, redact_text, redact_url

SECRET_NAMES = [
    "password", "passwd", "pwd", "pass", "secret", "token", "api-key", "api_key", "apikey", "apiKey", "access-key",
    "hf-token", "db.password", "wandb_api_key", "aws-secret-access-key", "client_secret", "auth", "private-key",
    "AZURE_STORAGE_CONNECTION_STRING", "sessionToken", "use_auth_token", "PGPASSWORD", "mysql_pwd", "refresh_tokens",
]  # fmt: skip

names = st.sampled_from(SECRET_NAMES)
# No secret is shorter than this, and shorter ones would be found in the templates by chance.
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40).filter(
    lambda secret: REDACTED not in secret
)
passphrases = st.text(min_size=8, max_size=40).filter(lambda secret: REDACTED not in secret)


def joined(arguments: list[str]) -> str:
    return "\x00".join(redact_arguments(arguments))


@given(names, passphrases)
@example("token", "-starts-with-a-dash")
@example("password", "--looks-like-a-flag")
@example("password", "with blanks = and 'quotes' & more")
def test_the_word_after_a_telling_flag_is_taken_out(name, secret):
    assume(not (name.startswith("use") and secret.startswith("-")))
    assert redact_arguments(["train.py", f"--{name}", secret, "--lr", "0.1"]) == [
        "train.py", f"--{name}", REDACTED, "--lr", "0.1",
    ]  # fmt: skip


@given(
    names, passphrases, st.sampled_from(["--{}={}", "-{}={}", "{}={}", "+{}={}", "++db.{}={}", "--env={}={}", "{}: {}"])
)
def test_the_value_joined_to_a_telling_name_is_taken_out(name, secret, form):
    assert secret not in joined(["train.py", form.format(name, secret), "lr=0.1"])


@given(secrets, st.sampled_from(["https", "postgresql+psycopg", "redis", "mongodb+srv", "s3"]))
@example("p/w", "postgresql")
@example("p@w:x/y?z#a", "postgresql")
@example("12345/67", "postgresql")
def test_the_user_part_of_a_url_is_taken_out_however_it_is_quoted(secret, scheme):
    for user_info in (f"someone:{secret}", f":{secret}", f"someone:{quote(secret, safe='')}", quote(secret, safe="")):
        for url in (f"{scheme}://{user_info}@host/path", f"{scheme}://{user_info}@host:80"):
            password = user_info.rpartition(":")[2] if user_info.count(":") == 1 else secret
            assume(password not in f"{scheme}://@host:80/path")
            for redacted in (redact_url(url), redact_text(f"cannot reach {url} now"), joined([f"--backend={url}"])):
                assert password not in redacted
                assert secret not in redacted
                assert "host" in redacted or scheme not in redacted


@given(names, secrets.filter(lambda secret: not set(secret) & set("&;#")))
def test_a_secret_in_the_query_of_a_url_is_taken_out_and_the_rest_stays(name, secret):
    redacted = redact_url(f"https://host/data.csv?version=3&{name}={secret}&rows=7")
    assert redacted == f"https://host/data.csv?version=3&{name}={REDACTED}&rows=7"


@given(
    names,
    secrets.filter(lambda secret: not set(secret) & set("\"'\\")),
    st.sampled_from([
        "{}={}", "{}: {}", "{} = '{}'", '"{}": "{}"', "{{'{}': '{}', 'lr': 3}}", "{}: str = '{}'",
        "{} := {}", '{{\\"{}\\": \\"{}\\"}}', "{}=Bearer {}", "run with --{} {}", "['tool', '--{}', '{}']",
    ]),
)  # fmt: skip
def test_a_secret_quoted_in_a_message_is_taken_out(name, secret, form):
    message = f"ValueError: bad call: {form.format(name, secret)} failed"
    assert secret not in redact_text(message)
    assert redact_text(message).startswith("ValueError: bad call: ")


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 9,
        "glpat-" + "a1B2-" * 5,
        "hf_" + "a1B2" * 8,
        "sk-proj-" + "a1B2_" * 9,
        "xoxb-1234567890-abcdef",
        "AIza" + "a1B2_" * 7,
        "dapi" + "0a1b" * 8,
        "pypi-" + "a1B2_" * 12,
        "npm_" + "a1B2" * 9,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_secret_of_a_well_known_shape_is_taken_out_wherever_it_stands(secret):
    for text in (redact_text(f"the value {secret} is wrong"), joined(["x.py", secret]), joined([f"--note={secret}"])):
        assert secret not in text
        assert REDACTED in text


def test_a_bearer_token_is_taken_out_of_a_header():
    for header in ("Authorization: Bearer abcdefgh", "x: Bearer abcdefgh", "Proxy-Authorization: Basic abcdefgh"):
        assert "abcdefgh" not in joined(["curl", "-H", header])
        assert "abcdefgh" not in redact_text(f"sent {{'h': '{header}'}}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train.py", "--max-tokens", "512", "--tokenizer", "bert", "--token-dim", "8", "--num_tokens=3"],
        ["train.py", "--pad-token", "<pad>", "--eos_token=</s>", "--monitor", "val_loss"],
        ["train.py", "--lr", "0.1", "model.layers=[1,2]", "+trainer.key=auc", "data=https://host/a@b/c.csv"],
        ["train.py", "--use-auth-token", "--fp16"],
        ["-m", "pkg.train", "-p", "5000", "--keys", "a,b", "ssh://git@github.com/me/it.git", "git@github.com:me/it"],
        ["C:\\data\\train.py", "--data=C:\\data\\x.csv", "http://localhost/@me"],
        [],
    ],
)
def test_ordinary_arguments_stay_as_they_are(arguments):
    assert redact_arguments(arguments) == arguments


@pytest.mark.parametrize(
    "message",
    [
        "KeyError: 'token'",
        'FATAL: password authentication failed for user "me"',
        "expected 3 tokens: got 5, tokens=5, pad_token: <pad>",
        "could not convert string to float: 'abc'",
        "http://host:80/path and file:///tmp/x@y",
    ],
)
def test_ordinary_messages_stay_as_they_are(message):
    assert redact_text(message) == message


def test_only_the_secret_is_taken_out_of_structured_text():
    assert redact_text('{"password": "a b", "lr": 3}') == '{"password": ***, "lr": 3}'
    assert redact_text("host=h password=abc user=me") == "host=h password=*** user=me"
    assert redact_text("mysql --password abc -h db") == "mysql --password *** -h db"
    assert redact_text("get https://h/x?token=abc&lr=3 now") == "get https://h/x?token=***&lr=3 now"
    assert redact_arguments(['--config={"apiKey": "x", "lr": 3}']) == ['--config={"apiKey": ***, "lr": 3}']


@given(st.text(), st.lists(st.text()))
def test_any_text_is_taken(text, arguments):
    assert isinstance(redact_text(text), str)
    assert isinstance(redact_url(text), str)
    assert len(redact_arguments(arguments)) == len(arguments)
