"""States and change logs hold findings for months: what was written by an earlier version stays readable, ids stay."""

from schemas.findings import Evidence, Finding, Identity, decode_finding, encode_finding
from streams.core.detection.detect import finding_id_of

FINDING = Finding(
    "00" * 16,
    "slow_answer",
    "0a1b2c3d4e5f",
    "unanswered",
    "crm:Ан",
    "major",
    3.0,
    "email",
    "resolved",
    1_772_532_000_000_000,
    1_772_539_200_000_000,
    Identity("mail", "m-1"),
    (
        Evidence(
            "mail", "m-1", "touchline.email", 3, 41, 1_772_445_600_000_000, "email", {"reason": "billing"}
        ),
    ),
    (Identity("mail", "m-1"),),
    "No answer by noon.",
    "Answer now.",
    ("reason:billing",),
    1_772_532_000_000_000,
)
BYTES = (
    "dc0012d9203030303030303030303030303030303030303030303030303030303030303030ab736c6f775f616e73776572ac"
    "306131623263336434653566aa756e616e737765726564a863726d3ad090d0bda56d616a6f72cb4008000000000000a5656d"
    "61696ca87265736f6c766564cf00064c1bc4368800cf00064c1d715dd00092a46d61696ca36d2d319198a46d61696ca36d2d"
    "31af746f7563686c696e652e656d61696c0329cf00064c07a65f2800a5656d61696c81a6726561736f6ea762696c6c696e67"
    "9192a46d61696ca36d2d31b24e6f20616e73776572206279206e6f6f6e2eab416e73776572206e6f772e91ae726561736f6e"
    "3a62696c6c696e67cf00064c1bc4368800"
)


def test_bytes_of_a_finding_stay_readable() -> None:
    assert decode_finding(bytes.fromhex(BYTES)) == FINDING


def test_a_finding_is_written_as_it_was() -> None:
    assert encode_finding(FINDING).hex() == BYTES


def test_ids_stay_what_they_are() -> None:
    told = finding_id_of("slow_answer", "unanswered", "crm:Ан", Identity("mail", "m-1"), "", b"")
    assert told == "c8cdff3172d61c95bd87e8c891ad2608"
    keyed = finding_id_of("slow_answer", "unanswered", "crm:Ан", Identity("mail", "m-1"), "", b"any key")
    assert keyed == "a747ac31f5425feeaeda5f01e3fc9655"
