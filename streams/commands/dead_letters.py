"""`touchline dead-letters`: what did not validate and why, and how to send it again."""

import base64
import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from streams.commands.failures import CommandFailed
from streams.commands.options import INSTANT, print_json
from streams.commands.rejects import Filter, Reject, find
from streams.commands.servers import servers
from streams.settings import load_settings

PREVIEW = 160


@click.group()
def dead_letters() -> None:
    """See what did not validate, why, and send it again.

    A dead letter keeps the original bytes, key and headers. Read them with SQL in the view `dead_letters`, or
    here.
    """


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose dead letters; it receives them as `chosen`, a `Filter`."""

    @functools.wraps(command)
    def with_filter(**options: Any) -> None:
        conditions = {name: options.pop(name) for name in ("reason", "topic", "since", "until")}
        command(chosen=Filter(**conditions), **options)

    for option in (
        click.option("--until", type=INSTANT, metavar="TIME", help="Declared dead before TIME."),
        click.option("--since", type=INSTANT, metavar="TIME", help="Declared dead at TIME or later."),
        click.option("--topic", metavar="NAME", help="From this topic only."),
        click.option("--reason", metavar="TEXT", help="Its error is TEXT, or its message contains TEXT."),
    ):
        with_filter = option(with_filter)
    return with_filter


@dead_letters.command(name="list")
@_choosing
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at the most."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: an array.")
def list_command(chosen: Filter, limit: int, as_json: bool) -> None:
    """List dead letters, newest first."""
    with servers(load_settings(), clickhouse=True) as running:
        found = find(running.clickhouse, chosen, limit)
    if as_json:
        print_json([document(reject) for reject in found])
        return
    if not found:
        click.echo("no dead letters" + (" match" if chosen.narrows else ""))
    for reject in found:
        click.echo(
            f"{reject.occurred_at:%Y-%m-%d %H:%M:%S}Z  {reject.topic} {reject.partition} {reject.offset}  "
            f"{reject.error}: {reject.message}"
        )
        click.echo(f"    {preview(reject.value)}")


@dead_letters.command()
@click.argument("topic")
@click.argument("partition", type=int)
@click.argument("offset", type=int)
@click.option("--raw", is_flag=True, help="Print the original bytes and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(topic: str, partition: int, offset: int, raw: bool, as_json: bool) -> None:
    """Show one dead letter whole: its original bytes and why it could not be used."""
    if raw and as_json:
        raise click.UsageError("choose one of --raw and --json")
    with servers(load_settings(), clickhouse=True) as running:
        found = find(running.clickhouse, Filter(topic=topic, partition=partition, offset=offset), 1)
    if not found:
        raise CommandFailed(
            f"no dead letter at {topic} {partition} {offset}",
            "`touchline dead-letters list` shows what there is",
        )
    reject = found[0]
    if as_json:
        print_json(document(reject))
    elif raw:
        sys.stdout.buffer.write(reject.value or b"")
        sys.stdout.buffer.flush()
    else:
        click.echo(description(reject))


@dead_letters.command()
@_choosing
@click.option("--all", "everything", is_flag=True, help="All of them, when no filter is given.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def resend(chosen: Filter, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Publish the original bytes, key and headers again, to the topic and partition they came from.

    Letters of the stage `process` hold a decoded interaction; their original is read from its raw topic, as long as the
    broker keeps it (a week).

    For use after the contract or the identification was put right. What still does not validate becomes a new
    dead letter; what was stored in the meantime counts as superseded: sending twice changes nothing.
    Letters of `touchline replay` came from files and are skipped: replay the file again.
    """
    from streams.commands.resending import resend_all
    from streams.policies import build_decoder

    if not chosen.narrows and not everything:
        raise click.UsageError("choose with --reason, --topic, --since or --until, or say --all")
    settings = load_settings()
    with servers(settings, kafka=not dry_run, clickhouse=True) as running:
        outcome = resend_all(
            running.clickhouse,
            None if dry_run else running.kafka,
            settings.kafka.prefix,
            chosen,
            build_decoder(settings),
        )
    if as_json:
        print_json({**outcome._asdict(), "dry_run": dry_run})
    else:
        verb = "would be sent" if dry_run else "sent"
        click.echo(
            f"{outcome.sent:,} {verb}, {outcome.skipped:,} skipped (no raw topic, or empty), "
            f"{outcome.failed:,} failed, {outcome.gone:,} no longer on the broker"
        )
    if outcome.failed:
        raise CommandFailed(
            f"{outcome.failed:,} of {outcome.chosen:,} were not delivered", "run the same again: it is safe"
        )
    if outcome.gone:
        raise CommandFailed(
            f"of {outcome.gone:,} of {outcome.chosen:,} the broker keeps the original no more",
            "publish or replay them from where they came from",
        )


def text_of(value: bytes | None) -> str | None:
    """The bytes as text, or None when they are none."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def preview(value: bytes | None) -> str:
    """One line of the beginning, safe for a terminal: control characters are shown, not obeyed."""
    if value is None:
        return "(no value)"
    text = value[: PREVIEW * 4].decode(errors="replace")
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return shown[:PREVIEW] + (" ..." if len(shown) > PREVIEW or len(value) > PREVIEW * 4 else "")


def _safe(text: str) -> str:
    """Text with line breaks kept and other control characters shown."""
    return "\n".join(
        "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
        for line in text.split("\n")
    )


def description(reject: Reject) -> str:
    """A dead letter for people."""
    lines = [
        f"topic      {reject.topic}, partition {reject.partition}, offset {reject.offset}",
        f"when       {reject.occurred_at:%Y-%m-%d %H:%M:%S.%f}Z",
        f"stage      {reject.stage}",
        f"why        {reject.error}: {_safe(reject.message)}",
        f"key        {preview(reject.key) if reject.key is not None else '(none)'}",
    ]
    lines += [f"header     {name}: {preview(value)}" for name, value in reject.headers]
    lines.append(f"value      {'(none)' if reject.value is None else f'{len(reject.value):,} bytes'}")
    if reject.value:
        lines += ["", _safe(reject.value.decode(errors="replace"))]
    return "\n".join(lines)


def document(reject: Reject) -> dict[str, Any]:
    """A dead letter as JSON. Bytes that are no UTF-8 have null as text; `*_base64` has them exactly."""
    return {
        "topic": reject.topic,
        "partition": reject.partition,
        "offset": reject.offset,
        "occurred_at": reject.occurred_at,
        "stage": reject.stage,
        "error": reject.error,
        "message": reject.message,
        "key": text_of(reject.key),
        "key_base64": None if reject.key is None else base64.b64encode(reject.key).decode(),
        "value": text_of(reject.value),
        "value_base64": None if reject.value is None else base64.b64encode(reject.value).decode(),
        "headers": [
            {"name": name, "value": text_of(value), "value_base64": base64.b64encode(value).decode()}
            for name, value in reject.headers
        ],
    }
