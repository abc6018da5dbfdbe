"""Signatures of webhooks."""

import pytest

from sinks.notifications.signature import (
    REPLAY_WINDOW,
    SignatureRefused,
    secret_bytes,
    signed_headers,
    verify,
)

NOW = 1_614_265_330
KEY = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
OTHER = bytes(range(32))
BODY = b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_specifications_example() -> None:
    headers = signed_headers([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, NOW)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_genuine_request_gives_its_id() -> None:
    assert verify([KEY], signed_headers([KEY], "id-1", BODY, NOW), BODY, NOW) == "id-1"


@pytest.mark.parametrize("away", [-REPLAY_WINDOW, REPLAY_WINDOW])
def test_a_request_at_the_edge_of_the_replay_window_is_taken(away: int) -> None:
    assert verify([KEY], signed_headers([KEY], "id-1", BODY, NOW), BODY, NOW + away)


@pytest.mark.parametrize("away", [-REPLAY_WINDOW - 1, REPLAY_WINDOW + 1])
def test_a_request_beyond_the_replay_window_is_refused(away: int) -> None:
    with pytest.raises(SignatureRefused, match="timestamp"):
        verify([KEY], signed_headers([KEY], "id-1", BODY, NOW), BODY, NOW + away)


def test_a_changed_body_id_or_timestamp_is_refused() -> None:
    headers = signed_headers([KEY], "id-1", BODY, NOW)
    changes = ({}, {"webhook-id": "id-2"}, {"webhook-timestamp": str(NOW + 1)})
    for change, body in zip(changes, (BODY + b" ", BODY, BODY), strict=True):
        with pytest.raises(SignatureRefused, match="no signature"):
            verify([KEY], {**headers, **change}, body, NOW)


def test_a_request_without_headers_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="missing"):
        verify([KEY], {}, BODY, NOW)


def test_while_secrets_are_changed_both_receivers_accept() -> None:
    headers = signed_headers([OTHER, KEY], "id-1", BODY, NOW)
    assert verify([KEY], headers, BODY, NOW) == verify([OTHER], headers, BODY, NOW) == "id-1"


@pytest.mark.parametrize(
    "secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!", "whsec_QUFB", "whsec_" + "QUFB" * 30]
)
def test_a_secret_of_another_form_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64 of 24 to 64") as caught:
        secret_bytes(secret)
    assert not secret or secret not in str(caught.value)
