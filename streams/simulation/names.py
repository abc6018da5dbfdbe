"""Names of people and places in four languages, and how a name becomes the local part of an address."""

from typing import Final, Literal

Language = Literal["bg", "ru", "uk", "en"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGES: Final[tuple[tuple[Language, float], ...]] = (("bg", 0.5), ("ru", 0.15), ("uk", 0.2), ("en", 0.15))
"""Each language with the share of the customers who speak it."""

GIVEN: Final[dict[Language, tuple[str, ...]]] = {
    "bg": _words(
        "Мария Иванка Елена Йорданка Пенка Цветелина Десислава Гергана Ваня Радост Георги Иван Димитър "
        "Николай Петър Христо Стефан Красимир Ивайло Борислав Живко Теодора Калина Боян"
    ),
    "ru": _words(
        "Анна Ольга Татьяна Наталья Ирина Екатерина Светлана Людмила Юлия Ксения Александр Сергей Дмитрий "
        "Алексей Андрей Михаил Евгений Владимир Павел Фёдор"
    ),
    "uk": _words(
        "Оксана Олена Наталія Ірина Соломія Галина Леся Зоряна Юлія Катерина Олександр Андрій Сергій "
        "Тарас Богдан Василь Микола Ярослав Остап Євген"
    ),
    "en": _words(
        "Grace Emily Hannah Olivia Charlotte Aisha Priya Megan Ruth Siobhán James Oliver Daniel Thomas "
        "Samuel Mohammed Owen Patrick Henry Zoë"
    ),
}

FAMILY: Final[dict[Language, tuple[str, ...]]] = {
    "bg": _words(
        "Иванов Георгиев Димитров Петров Николов Христов Стоянов Тодоров Ангелов Василев Желязков Щерев "
        "Цанков Янев Кючуков Бояджиев Чолаков Узунов"
    ),
    "ru": _words(
        "Смирнов Кузнецов Попов Васильев Соколов Михайлов Новиков Фёдоров Морозов Волков Алексеев Лебедев "
        "Семёнов Егоров Щукин Жуков"
    ),
    "uk": _words(
        "Шевченко Бондаренко Ткаченко Кравченко Коваленко Олійник Поліщук Лисенко Мельник Гончарук "
        "Їжакевич Марченко Савчук Ґудзь Стельмах Щербак"
    ),
    "en": _words(
        "Smith Jones Taylor Brown Williams Wilson Evans Thomas Roberts Johnson O'Brien Walker Wright "
        "Okafor Patel Hughes Mac-Donald Ó-Súilleabháin"
    ),
}

OFFICES: Final = (
    "sofia-serdika",
    "sofia-mladost",
    "plovdiv-center",
    "varna-port",
    "burgas-west",
    "ruse-danube",
)

PRODUCTS: Final[dict[Language, tuple[str, ...]]] = {
    "bg": (
        "рутер за дома",
        "тарифа „Семейна“",
        "телефон Nord 7",
        "оптичен интернет",
        "смарт телевизор",
        "таблет",
    ),
    "ru": (
        "домашний роутер",
        "тариф «Семья»",
        "телефон Nord 7",
        "оптический интернет",
        "телевизор",
        "планшет",
    ),
    "uk": (
        "домашній роутер",
        "тариф «Родина»",
        "телефон Nord 7",
        "оптичний інтернет",
        "телевізор",
        "планшет",
    ),
    "en": ("home router", "Family plan", "Nord 7 phone", "fibre internet", "smart TV", "tablet"),
}

_LATIN: Final = str.maketrans(
    {
        **dict(zip("абвгдезийклмнопрстуфхьъыэґіёøó", "abvgdeziyklmnoprstufhyayegieoo", strict=True)),
        **{
            "ж": "zh",
            "ц": "ts",
            "ч": "ch",
            "ш": "sh",
            "щ": "sht",
            "ю": "yu",
            "я": "ya",
            "є": "ye",
            "ї": "yi",
        },
        **{"á": "a", "ú": "u", "ë": "e", "'": "", "-": ""},
    }
)


def latin(name: str) -> str:
    """The name as people write it in an e-mail address: lower-case ASCII letters."""
    return name.lower().translate(_LATIN)


def family_after(given: str, family: str, language: Language) -> str:
    """The family name as written after this given name: Bulgarian and Russian ones agree in gender."""
    woman = given[-1] in "ая" or given == "Радост"
    return family + "а" if woman and language in ("bg", "ru") else family
