from __future__ import annotations

import jwt
import pytest

from devcloud.errors import TokenError
from devcloud.signing import SigningKey
from devcloud.tokens import TOKEN_CHARS_MAX, Audience, Identity, Tokens


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_token_says_who_carries_it_and_until_when() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    token = tokens.issue("toy", Audience.CLOUD, 60)
    assert tokens.verify(token, Audience.CLOUD) == Identity("toy", clock.now_s + 60)


def test_a_token_is_signed_with_es256_and_names_its_key() -> None:
    header = jwt.get_unverified_header(Tokens().issue("toy", Audience.CLOUD, 60))
    assert header["alg"] == "ES256"
    assert header["kid"]


def test_a_token_of_one_use_is_worthless_for_the_other() -> None:
    tokens = Tokens()
    with pytest.raises(TokenError):
        tokens.verify(tokens.issue("toy", Audience.STREAM, 60), Audience.CLOUD)
    with pytest.raises(TokenError):
        tokens.verify(tokens.issue("toy", Audience.CLOUD, 60), Audience.STREAM)


def test_a_token_ends_when_its_time_is_over() -> None:
    clock = Clock()
    tokens = Tokens(clock)
    token = tokens.issue("toy", Audience.CLOUD, 60)
    clock.now_s += 59.9
    tokens.verify(token, Audience.CLOUD)
    clock.now_s += 0.1
    with pytest.raises(TokenError, match="expired"):
        tokens.verify(token, Audience.CLOUD)


def test_tokens_of_another_run_are_refused() -> None:
    with pytest.raises(TokenError, match="unknown key"):
        Tokens().verify(Tokens().issue("toy", Audience.CLOUD, 60), Audience.CLOUD)


def test_a_token_that_was_tampered_with_is_refused() -> None:
    tokens = Tokens()
    head, body, signature = tokens.issue("toy", Audience.CLOUD, 60).split(".")
    other_body = tokens.issue("other", Audience.CLOUD, 60).split(".")[1]
    with pytest.raises(TokenError):
        tokens.verify(f"{head}.{other_body}.{signature}", Audience.CLOUD)
    with pytest.raises(TokenError):
        tokens.verify(f"{head}.{body}.", Audience.CLOUD)


def test_an_unsigned_token_is_refused() -> None:
    tokens = Tokens()
    kid = jwt.get_unverified_header(tokens.issue("toy", Audience.CLOUD, 60))["kid"]
    forged = jwt.encode({"sub": "toy", "exp": 2e9}, "", "none", headers={"kid": kid})
    with pytest.raises(TokenError):
        tokens.verify(forged, Audience.CLOUD)


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "x" * (TOKEN_CHARS_MAX + 1), "\ud800", "ä.ö.ü"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        Tokens().verify(token, Audience.CLOUD)


def test_without_a_header_nobody_is_identified() -> None:
    assert Tokens().verify_header(None, Audience.CLOUD) is None


def test_a_bearer_header_identifies_whatever_its_case() -> None:
    tokens = Tokens()
    header = f"bearer {tokens.issue('toy', Audience.CLOUD, 60)}"
    identity = tokens.verify_header(header, Audience.CLOUD)
    assert identity
    assert identity.device_id == "toy"


def test_a_header_of_another_scheme_is_refused() -> None:
    with pytest.raises(TokenError, match="Bearer"):
        Tokens().verify_header("Convex admin-key", Audience.CLOUD)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_key_that_others_read_checks_our_tokens(algorithm: str) -> None:
    tokens = Tokens(algorithm=algorithm)
    token = tokens.issue("toy", Audience.CLOUD, 60)
    (key,) = tokens.keys
    public = jwt.PyJWK.from_dict(key.to_jwk())
    claims = jwt.decode(token, public, algorithms=[algorithm], audience="convex")
    assert claims["sub"] == "toy"
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": key.key_id, "typ": "JWT"}


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_published_key_keeps_its_private_half(algorithm: str) -> None:
    assert not {"d", "p", "q"} & set(SigningKey.make(algorithm).to_jwk())


def test_after_a_rotation_old_tokens_are_good_until_their_key_is_retired() -> None:
    tokens = Tokens()
    old = tokens.issue("toy", Audience.CLOUD, 60)
    tokens.rotate(SigningKey.make("RS256"))
    new = tokens.issue("toy", Audience.CLOUD, 60)
    assert jwt.get_unverified_header(new)["alg"] == "RS256"
    assert tokens.algorithms == ["ES256", "RS256"]
    identities = [tokens.verify(token, Audience.CLOUD) for token in (old, new)]
    tokens.rotate(SigningKey.make("ES256"), retire_old=True)
    for token in (old, new):
        with pytest.raises(TokenError, match="unknown key"):
            tokens.verify(token, Audience.CLOUD)
    assert all(map(tokens.is_revoked, identities))


def test_a_token_signed_with_one_algorithm_in_the_name_of_another_key_is_refused() -> None:
    tokens = Tokens(algorithm="RS256")
    forged = jwt.encode(
        {"sub": "toy", "exp": 2e9, "aud": "convex", "num": 1},
        "a guess of thirty-two characters",
        "HS256",
        headers={"kid": tokens.keys[0].key_id},
    )
    with pytest.raises(TokenError, match="refused"):
        tokens.verify(forged, Audience.CLOUD)


def test_what_was_issued_to_a_device_is_taken_back_and_what_follows_is_good() -> None:
    tokens = Tokens(Clock())
    mine, other = (tokens.issue(name, Audience.CLOUD, 60) for name in ("toy", "other"))
    identity = tokens.verify(mine, Audience.CLOUD)
    tokens.revoke("toy")
    with pytest.raises(TokenError, match="revoked"):
        tokens.verify(mine, Audience.CLOUD)
    assert tokens.is_revoked(identity)
    tokens.verify(other, Audience.CLOUD)
    tokens.verify(tokens.issue("toy", Audience.CLOUD, 60), Audience.CLOUD)


def test_everything_can_be_taken_back_at_once() -> None:
    tokens = Tokens()
    token = tokens.issue("toy", Audience.STREAM, 60)
    tokens.revoke()
    with pytest.raises(TokenError, match="revoked"):
        tokens.verify(token, Audience.STREAM)


def test_watchers_are_told_when_tokens_are_taken_back() -> None:
    tokens = Tokens()
    identity = tokens.verify(tokens.issue("toy", Audience.STREAM, 60), Audience.STREAM)
    seen: list[bool] = []
    with tokens.watching(lambda: seen.append(tokens.is_revoked(identity))):
        tokens.revoke("other")
        tokens.revoke("toy")
    tokens.revoke()
    assert seen == [False, True]
