"""The books of one partition during one step: an overlay over the stored ones, which stay as they are."""

from collections.abc import Callable

from streams.core.alerting.book import Book, decode_book, encode_book


class Shelf:
    """Reads through to the table once a key, keeps what a step puts."""

    def __init__(self, load: Callable[[bytes], bytes | None]) -> None:
        self._load = load
        self._books: dict[bytes, Book] = {}
        self._read: dict[bytes, Book] = {}

    def get(self, key: bytes) -> Book:
        """The book as this step has it; an empty one when there is none."""
        found = self._books.get(key) or self._read.get(key)
        if found is None:
            found = self._read[key] = decode_book(self._load(key))
        return found

    def put(self, key: bytes, book: Book) -> None:
        """Keep a book for this step."""
        self._books[key] = book

    def changes(self) -> dict[bytes, tuple[Book, bytes | None]]:
        """What was put and differs from what is stored, with its encoded form (None deletes)."""
        found = {}
        for key, book in self._books.items():
            encoded = encode_book(book)
            if encoded != self._load(key):
                found[key] = (book, encoded)
        return found
