"""Laws of the contract's edge: whatever the bytes, whatever the event.

The fast road (`schemas.wire`) is held against the models here: what it accepts, they accept, with the same values.
"""

import json
import re
import unicodedata
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import Decoder, Rejected
from schemas.dead_letters import dead_letter_headers, parse_dead_letter
from schemas.identifiers import Identifiers, Normaliser, is_e164
from schemas.interaction import Interaction, decode_interaction, encode_interaction
from schemas.parts import RATING_RANGES
from schemas.records import DeadLetter
from schemas.timestamps import EPOCH, TIMESTAMP_PATTERN, TimestampError, format_timestamp, parse_timestamp
from schemas.vocabulary import (
    CHANNELS,
    INTERACTION_TYPES,
    Channel,
)

NOW = parse_timestamp("2261-12-31T23:59:59Z")
NORMALISER = Normaliser("BG")
DECODER = Decoder("BG", 0, lambda known, _: known.crm_id)

words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
seconds = st.integers(0, 10**9) | st.floats(0, 1e9)
instants = st.integers(0, parse_timestamp("2261-12-31T00:00:00Z"))
times = instants.map(format_timestamp)
money = st.decimals(-(10**17), 10**17, allow_nan=False, allow_infinity=False, places=6).map(
    lambda d: format(d, "f")
)
reasons = st.lists(st.sampled_from(["billing", "late", "доставка", "x-1"]), min_size=1, max_size=3).map(
    ".".join
)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object in which each field is present, absent or null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in fields.items()})


def _ratings() -> st.SearchStrategy[dict[str, Any]]:
    marks = [
        st.fixed_dictionaries(
            {"scale": st.just(scale), "value": st.integers(low, high) | st.floats(low, high)},
            optional={"resolved": st.booleans()},
        )
        for scale, (low, high) in RATING_RANGES.items()
    ]
    return st.one_of(*marks, st.fixed_dictionaries({"resolved": st.booleans()}))


COMMON = maybe(
    revision=st.integers(0, 2**64 - 1),
    subject=maybe(
        reason=reasons,
        case_id=words,
        order_id=words,
        product=words,
        stage=st.sampled_from(["choice", "order", "payment", "delivery", "after_sales"]),
    ),
    outcome=st.sampled_from(["resolved", "unresolved", "promised", "abandoned", "unknown"]),
    price=st.fixed_dictionaries(
        {"agreed": money}, optional={"charged": money, "currency": st.just("EUR"), "ref": words}
    ),
    promise=st.fixed_dictionaries({"what": words, "due_at": times | st.just("2026-03-01")})
    | st.fixed_dictionaries({"kept_ref": words}),
    rating=_ratings(),
    treatment=st.sampled_from(["professional", "indifferent", "rude"]),
    sentiment=st.floats(-1, 1),
    complaint=maybe(remedy_sought=words, stage=st.sampled_from(["received", "closed"])),
    transfers=st.integers(0, 65_535),
    follows=words,
    staff_id=words,
    text=texts,
    attributes=st.dictionaries(words, st.none() | texts, max_size=3),
)
OWN: dict[Channel, st.SearchStrategy[dict[str, Any]]] = {
    "phone": maybe(
        wait_seconds=seconds,
        talk_seconds=seconds,
        hold_seconds=seconds,
        wrap_up_seconds=seconds,
        ivr_path=words,
    ),
    "email": maybe(thread_id=words, in_reply_to=words),
    "visit": maybe(office_id=words, ticket=words, wait_seconds=seconds, service_seconds=seconds),
    "online": maybe(
        session_id=words,
        action=st.just("closed"),
        target=words,
        success=st.booleans(),
        duration_seconds=seconds,
    ),
}
CUSTOMERS = maybe(
    crm_id=texts,
    contract=texts,
    loyalty=texts,
    phone=texts | st.from_regex(r"\+?[0-9 ()-]{5,18}", fullmatch=True),
    email=texts | st.emails(),
    device=texts,
).map(lambda customer: {kind: value and value.replace("\x00", "") for kind, value in customer.items()})


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event of any channel, its keys in any order."""
    channel = draw(st.sampled_from(CHANNELS))
    event = {
        **draw(COMMON),
        **draw(OWN[channel]),
        "id": draw(words),
        "source": draw(words),
        "channel": channel,
        "type": draw(st.sampled_from(INTERACTION_TYPES[channel])),
        "occurred_at": draw(times),
        "customer": draw(CUSTOMERS),
    }
    if channel in ("phone", "email"):
        event["direction"] = draw(st.sampled_from(["inbound", "outbound"]))
    return dict(draw(st.permutations(list(event.items()))))


def decode(value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Interaction | Rejected:
    return DECODER.decode(value, headers, "t", 1, 2, 3, NOW)


def decode_by_the_models(value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Interaction | Rejected:
    with (
        patch.object(codec, "decode_fast", side_effect=ValueError),
        patch.object(codec, "decode_document", side_effect=ValueError),
    ):
        return decode(value, headers)


headers_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_specversion", "ce_id", "ce_type", "ce_time", "content-type", "Content-Type", "x"]
        ),
        st.binary(max_size=20)
        | st.sampled_from([b"1.0", b"application/json", b"application/cloudevents+json"]),
    ),
    max_size=5,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), headers_of_any_kind)
@example(b'{"specversion":"1.0","data":{"specversion":[]}}', ())
@example(b'{"channel":{},"type":[]}', ())
@example(b'{"channel":"online","type":{}}', ())
@example(b'{"customer":{"a":{"b":1}},"channel":"phone"}', ())
def test_no_bytes_make_the_decoder_raise(value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
    result = decode(value, headers)
    assert isinstance(result, Interaction | Rejected)
    if isinstance(result, Rejected):
        assert result.message
        assert result.message.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(events(), st.data())
def test_a_damaged_event_never_raises_and_both_roads_agree(
    event: dict[str, Any], data: st.DataObject
) -> None:
    path = [data.draw(st.sampled_from(sorted(event)))]
    if isinstance(event[path[0]], dict) and event[path[0]] and data.draw(st.booleans()):
        path.append(data.draw(st.sampled_from(sorted(event[path[0]]))))
    damaged = json.loads(json.dumps(event))
    target = damaged if len(path) == 1 else damaged[path[0]]
    if data.draw(st.booleans()):
        del target[path[-1]]
    else:
        target[path[-1]] = data.draw(
            json_values | st.sampled_from(["", "\x00", "a\n", "1", "2026-03-01", -1, 2**70])
        )
    value = json.dumps(damaged, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass")
    assert decode(value) == decode_by_the_models(value)
    enveloped = b'{"specversion": "1.0", "data": ' + value + b"}"
    assert decode(enveloped) == decode_by_the_models(enveloped)


@settings(max_examples=200, deadline=None)
@given(events(), st.booleans())
def test_both_roads_decode_a_valid_event_alike(event: dict[str, Any], ensure_ascii: bool) -> None:
    value = json.dumps(event, ensure_ascii=ensure_ascii).encode()
    result = decode(value)
    assert isinstance(result, Interaction), result
    assert result == decode_by_the_models(value)
    assert decode(value, (("content-type", b"application/json"),)) == result
    assert decode(b'{"specversion": "1.0", "data": ' + value + b"}") == result
    assert decode_interaction(encode_interaction(result)) == result


ATTRIBUTES = {"id": "ce_id", "source": "ce_source", "occurred_at": "ce_time"}


@settings(max_examples=300, deadline=None)
@given(events(), st.data())
def test_both_roads_read_an_event_in_binary_mode_alike(event: dict[str, Any], data: st.DataObject) -> None:
    said = {name: str(event[field]) for field, name in ATTRIBUTES.items() if data.draw(st.booleans())}
    if data.draw(st.booleans()):
        said["ce_type"] = data.draw(
            st.just(f"org.example.{event['channel']}.{event['type']}")
            | st.sampled_from(["phone.call", "x", ""])
        )
    for name in said:
        if data.draw(st.integers(0, 4)) == 0:
            said[name] = data.draw(
                words | st.sampled_from(["", "online.case_update", "2026-03-01T10:00:00Z"])
            )
    left = dict(event)
    for field in (*ATTRIBUTES, "channel", "type"):
        fate = data.draw(st.integers(0, 5))
        if fate == 0:
            del left[field]
        elif fate == 1:
            left[field] = None
    headers = (("ce_specversion", b"1.0"), *((name, text.encode()) for name, text in said.items()))
    value = json.dumps(left).encode()
    twice = value[:-1] + b", " + json.dumps({field: left[field] for field in list(left)[:1]}).encode()[1:]
    told = data.draw(st.sampled_from([value, value, b" " + value, twice]))
    if data.draw(st.booleans()):
        headers = (*headers, ("content-type", b"application/json"))
    assert decode(told, headers) == decode_by_the_models(told, headers)


controlled = st.text(st.sampled_from('a\n\t\x01\x7f\\"n'), max_size=5)


@settings(max_examples=200, deadline=None)
@given(events(), controlled, st.none() | controlled, controlled, controlled, st.booleans())
def test_both_roads_find_control_characters_alike(
    event: dict[str, Any], id_: str, text: str | None, before: str, value: str, ensure_ascii: bool
) -> None:
    event |= {"id": id_, "text": text, "attributes": {"a": value}}
    told = json.dumps(event, ensure_ascii=ensure_ascii)
    told = told[:-1].replace("{", '{"text": ' + json.dumps(before) + ", ", 1) + "}"
    assert decode(told.encode()) == decode_by_the_models(told.encode())


@settings(max_examples=150, deadline=None)
@given(events())
def test_decoding_keeps_every_field(event: dict[str, Any]) -> None:
    result = decode(json.dumps(event).encode())
    assert isinstance(result, Interaction), result
    flat: dict[str, Any] = {}
    for name, value in event.items():
        prefix = {"subject": "", "attributes": None}.get(name, f"{name}_")
        if name == "customer" or value is None:
            continue
        if isinstance(value, dict) and prefix is not None:
            flat |= {prefix + inner: inner_value for inner, inner_value in value.items()}
        else:
            flat[name] = value
    for name in ("price_agreed", "price_charged"):
        if flat.get(name) is not None:
            flat[name] = Decimal(flat[name])
    flat["occurred_at"] = parse_timestamp(flat["occurred_at"])
    if flat.get("promise_due_at") == "2026-03-01":
        flat["promise_due_on"], flat["promise_due_at"] = "2026-03-01", None
    elif flat.get("promise_due_at") is not None:
        flat["promise_due_at"] = parse_timestamp(flat["promise_due_at"])
    if flat.get("attributes"):
        flat["attributes"] = {key: value for key, value in flat["attributes"].items() if value is not None}
    assert {name: getattr(result, name) for name in flat} == flat


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Identifiers,
        *(texts,) * 3,
        st.from_regex(r"[+0]?[0-9 ().x-]{3,20}") | texts,
        st.emails() | texts,
        texts,
    )
)
@example(Identifiers(phone="+4400 0 20 7946 0958", email="İ@EXAMPLE.com"))
@example(Identifiers(phone="+35921234567;ext=12", email='"quoted local"@example.com'))
@example(Identifiers(phone="1-800-FLOWERS", email="Ａ@example.com"))
def test_normalising_twice_changes_nothing(identifiers: Identifiers) -> None:
    once, _ = NORMALISER.normalise(identifiers)
    twice, _ = NORMALISER.normalise(once)
    assert twice == once


CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(CODES), st.from_regex(r"[0-9]{3,14}", fullmatch=True))
@example(44, "02079460958")
@example(39, "066982")
@example(1, "12025550123")
@example(54, "91123456789")
def test_the_cheap_test_for_e164_agrees_with_phonenumbers(code: int, rest: str) -> None:
    text = f"+{code}{rest}"
    if not is_e164(text):
        return
    number = phonenumbers.parse(text, "BG")
    assert phonenumbers.is_possible_number(number)
    assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == text


def test_the_cheap_test_for_e164_knows_a_number_of_most_countries() -> None:
    known = 0
    for code in CODES:
        sample = phonenumbers.example_number_for_non_geo_entity(code) or phonenumbers.example_number(
            phonenumbers.region_code_for_country_code(code)
        )
        known += is_e164(phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.E164))
    assert known > 0.9 * len(CODES)


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9._+-]{1,25}@[A-Za-z0-9.-]{1,30}\.[A-Za-z]{1,22}", fullmatch=True))
@example("a@b--c.com")
@example("a@xn--e1afmkfd.com")
@example("a..b@example.com")
def test_the_cheap_road_for_addresses_agrees_with_email_validator(text: str) -> None:
    address, normal = NORMALISER.email(text)
    try:
        wanted = validate_email(
            text, check_deliverability=False, globally_deliverable=False
        ).normalized.lower()
    except EmailNotValidError as problem:
        reserved = "special-use" in str(problem)
        assert not normal or reserved
    else:
        assert (address, normal) == (wanted, True)


DOMAINS_OF_WORDS = st.from_regex(r"[\w.-]{1,12}\.(?:com|бг|example)", fullmatch=True) | st.sampled_from(
    [
        "поща.example.org",
        "Пример.БГ",
        "ΟΔΟΣ.gr",
        "İstanbul.com",
        "faß.de",
        "xn--e1afmkfd.xn--90ae",
        "a--b.com",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9_+-]{1,20}(\.[A-Za-z0-9_+-]{1,20}){0,2}", fullmatch=True), DOMAINS_OF_WORDS)
@example("Post.Master", "поща." + ".".join(["label" * 8] * 6))
@example("a" * 20 + "." + "b" * 20 + "." + "c" * 20, "x" * 60 + ".бг")
def test_a_remembered_domain_answers_as_email_validator_does(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    address, normal = NORMALISER.email(text)
    try:
        known = validate_email(text, check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError as problem:
        reserved = "special-use" in str(problem)
        assert reserved or (address, normal) == (text, False)
    else:
        assert (address, normal) == (unicodedata.normalize("NFC", known.lower()), True)


WRITTEN = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{3})?Z", fullmatch=True
)


@settings(max_examples=300, deadline=None)
@given(
    WRITTEN, st.integers(0, 23), st.sampled_from(["", "+", "-", ".", ":", " ", "T", "Z", "0", "٣", "W", ","])
)
def test_the_cheap_test_for_times_lets_nothing_else_through(text: str, at: int, instead: str) -> None:
    text = text[:at] + instead + text[at + 1 :]
    try:
        micros = parse_timestamp(text)
    except TimestampError:
        return
    assert re.fullmatch(TIMESTAMP_PATTERN, text, re.ASCII)
    assert micros == (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@given(instants)
def test_a_formatted_instant_parses_to_itself(micros: int) -> None:
    assert parse_timestamp(format_timestamp(micros)) == micros


@given(
    st.builds(
        DeadLetter,
        texts,
        st.integers(0, 2**31),
        st.integers(0, 2**63 - 1),
        st.none() | st.binary(),
        st.none() | st.binary(),
        st.lists(st.tuples(words, st.binary())).map(tuple),
        st.sampled_from(["decode", "validate", "process"]),
        words,
        texts,
        instants,
    )
)
def test_a_dead_letter_survives_its_journey(letter: DeadLetter) -> None:
    assert (
        parse_dead_letter(letter.key, letter.value, dead_letter_headers(letter), letter.occurred_at) == letter
    )
