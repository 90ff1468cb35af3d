"""Masking of addresses and numbers that name people."""

import pytest

from service.nlp.analyzers.masking import mask


@pytest.mark.parametrize(
    ("sentence", "masked"),
    [
        ("Ask ann.o'neil+risk@mail.corp.example.", "Ask [email]."),
        ("Call +44 (0)20 7946 0958 today", "Call [phone] today"),
        ("Call 0049-30-1234567, or 030/12 34 56 78.", "Call [phone], or [phone]."),
        ("Tel. (555) 123-4567 or 555-123-4567", "Tel. [phone] or [phone]"),
        ("Pay to DE89 3704 0044 0532 0130 00.", "Pay to [iban]."),
        ("Pay to gb82west12345698765432", "Pay to [iban]"),
        ("BE68 5390 0754 7034 paid late", "[iban] paid late"),
        ("AT61 1904 3002 3457 3201 by Monday", "[iban] by Monday"),
        (
            "NO93 8601 1117 947 or NL91ABNA0417164300 and BE68539007547034",
            "[iban] or [iban] and [iban]",
        ),
        ("ab12 from BE68 5390 0754 7034", "ab12 from [iban]"),
        ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "[iban]"),
        ("Call +49\u00a030\u202f901820 today", "Call [phone] today"),
    ],
)
def test_personal_data_are_masked(sentence, masked):
    assert mask(sentence) == masked


@pytest.mark.parametrize(
    "sentence",
    [
        "The budget of 1,250,000.00 EUR ends on 2026-11-23.",
        "DE89 3704 1144 1532 1130 01 has wrong check digits.",
        "Version 10.0.19045.3693 lost 0.000125 of 10000000 rows.",
        "Section 4.2.1.10 and ISO 27001:2022 apply from 1 January 2027.",
    ],
)
def test_other_numbers_stay(sentence):
    assert mask(sentence) == sentence
